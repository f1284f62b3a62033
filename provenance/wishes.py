"""What the door asks of the workers, and what comes back: the JSON in a job's row, in types.

The door writes wishes and reads results, the workers read wishes and write results, and both do it
with the functions here. What is checked at the door is not checked again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

PNG, JPEG, WEBP = "image/png", "image/jpeg", "image/webp"
MARKS = ("lexical", "swap", "both")
PLANS = ("quick", "full")


@dataclass(frozen=True)
class Drawing:
    """Pictures to draw: one a seed, of one prompt."""

    model: str
    prompt: str
    seeds: tuple[int, ...]
    mark: str = "lexical"  # of MARKS
    survive: str | None = None  # the name of an attack
    media: str = PNG  # of the files
    previews: bool = False  # whether anyone wants to watch


@dataclass(frozen=True)
class Checking:
    """An upload to verify."""

    plan: str = "quick"  # of PLANS: how widely crops and scales are searched


@dataclass(frozen=True)
class Marking:
    """An upload to mark."""


@dataclass(frozen=True)
class Map:
    """A picture that shows where evidence lies, as a blob."""

    name: str  # what it shows, e.g. "mark"
    blob: str  # SHA-256 in hexadecimal
    media: str


@dataclass(frozen=True)
class Checked:
    """What verifying an upload came to.

    `verdict` has the fields of a verdict's statement: table, row, outcome, entries, findings. The
    fingerprint is PDQ's 32 bytes in hexadecimal, None for a picture that is too flat.
    """

    width: int
    height: int
    verdict: dict[str, Any]
    fingerprint: str | None
    maps: tuple[Map, ...] = ()
    statement: str | None = None  # the signed verdict as a DSSE envelope, JSON text


def format_drawing(wish: Drawing) -> dict[str, Any]:
    return asdict(wish) | {"seeds": list(wish.seeds)}


def parse_drawing(request: dict[str, Any]) -> Drawing:
    return Drawing(**{**request, "seeds": tuple(request["seeds"])})


def format_checking(wish: Checking) -> dict[str, Any]:
    return asdict(wish)


def parse_checking(request: dict[str, Any]) -> Checking:
    return Checking(**request)


def format_marking(wish: Marking) -> dict[str, Any]:
    return asdict(wish)


def parse_marking(request: dict[str, Any]) -> Marking:
    return Marking(**request)


def format_checked(checked: Checked) -> dict[str, Any]:
    return asdict(checked) | {"maps": [asdict(one) for one in checked.maps]}


def parse_checked(result: dict[str, Any]) -> Checked:
    return Checked(**{**result, "maps": tuple(Map(**one) for one in result["maps"])})
