"""Every route of the OpenAPI document, tried by schemathesis with all of its checks.

Few examples a route here; `python -m bench.fuzz routes` tries many, against a service that runs.
"""

from __future__ import annotations

from pathlib import Path

from bench.fuzz.routes import fuzz
from tests.api.installations import installed
from tests.api.serving import serving


def test_every_route_keeps_its_description(tmp_path: Path) -> None:
    with installed(tmp_path, fetch=True) as here, serving(here.app) as address:
        key = here.key()["Authorization"].removeprefix("Bearer ")
        status, said = fuzz(address, key, examples=3, phases=("examples", "fuzzing"))
    assert status == 0, said
    assert "Selected: 58/58" in said
