"""Every route of the OpenAPI document, tried by schemathesis with all of its checks.

Few examples a route here; `python -m bench.fuzz routes` tries many, against a service that runs.
"""

from __future__ import annotations

from bench.fuzz.routes import fuzz
from tests.api.installations import Installed
from tests.api.serving import serving


def test_every_route_keeps_its_description(here: Installed) -> None:
    key = here.key()["Authorization"].removeprefix("Bearer ")
    with serving(here.app) as address:
        status, said = fuzz(address, key, examples=3, phases=("examples", "fuzzing"))
    assert status == 0, said
    assert "Selected: 53/53" in said
