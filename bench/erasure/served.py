"""Pictures as the service would give them out: steered, marked, looked at, drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from bench.erasure.methods import Studio, policy
from bench.erasure.prompts import Subject
from generators.checkers.catalog import find_checker
from generators.sampling import Request
from provenance.watermark.keys import Key, KeyState
from workers.erasing import Kept, Rules, draw_kept
from workers.generate import How, unerased
from workers.marking import Kind, Marker

CHECKER = "icons-128"
KEY = Key(b"\x29" * 32, "bench", 1, KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC))


def served(
    studio: Studio, subjects: Sequence[Subject], requests: Sequence[Request]
) -> list[NDArray[np.uint8] | None]:
    """The pictures (H, W, 3); None where the service would refuse."""
    marker = Marker(studio.generator.name, studio.generator.spec, studio.generator.codec)
    checkers = {CHECKER: find_checker(CHECKER)}
    rules = Rules(policy(subjects, checker=CHECKER), studio.screen, checkers)
    how = How(Kind.TRADE, KEY, unerased)
    made = draw_kept(studio.generator, marker, requests, how, rules)
    return [one.marked.drawn.pixels if isinstance(one, Kept) else None for one in made]
