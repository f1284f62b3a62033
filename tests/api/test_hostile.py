"""Hostile uploads at the door: refused by name or handed on, and the door lives.

What a decoder makes of them is tried with the real workers: `python -m bench.fuzz uploads`.
"""

from __future__ import annotations

from collections import Counter

import pytest

from bench.fuzz.__main__ import allowed, path, send
from bench.fuzz.uploads import MAKERS, hostile_uploads
from tests.api.installations import Installed
from tests.api.serving import serving


def test_hostile_files_get_a_named_answer(here: Installed) -> None:
    key = here.key()["Authorization"].removeprefix("Bearer ")
    outcomes: Counter[str] = Counter()
    with serving(here.app) as address:
        for number, hostile in enumerate(hostile_uploads(3 * len(MAKERS), seed=1)):
            outcome = send(address + path(number), key, hostile)
            assert allowed(outcome), (number, hostile.name, outcome)
            outcomes[outcome] += 1
        assert here.client.get("/health").status_code == 200
    assert outcomes["415 unsupported-media-type"] > 0
    assert outcomes["verdict no evidence"] > 0


@pytest.mark.parametrize(
    "outcome", ["500 internal", "lost: ConnectionResetError", "neither: queued"]
)
def test_an_answer_without_a_name_is_not_allowed(outcome: str) -> None:
    assert allowed("422 unreadable-picture")
    assert not allowed(outcome)
