"""Every checker that a policy can name, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from generators.checkers.icons import load_checker
from generators.checkers.interface import CannotCheck, Checker
from generators.checkers.unsafe import load_unsafe

WEIGHTS = Path(__file__).parent.parent / "weights"
ICONS = (
    "icons-128-checker.safetensors",
    "72ab4082497d01878a0811f107f1c7d2bcd5a332685f9a6faeecc860967c113e",
)

CHECKERS: dict[str, Callable[[], Checker]] = {
    "icons-128": lambda: load_checker(WEIGHTS / ICONS[0], bytes.fromhex(ICONS[1])),
    "open-nsfw": load_unsafe,
}


def find_checker(name: str) -> Checker:
    """The checker of a name, loaded; raises CannotCheck."""
    if name not in CHECKERS:
        raise CannotCheck(f"no checker is called {name!r}; there are: {', '.join(CHECKERS)}")
    return CHECKERS[name]()
