"""The path from an entry to the root of the log, as boxes and lines for a drawing.

Every box on the path is computed from the two beneath it; the other ones are given by the proof.
Coordinates are in px of a drawing that is scaled to the page.
"""

from __future__ import annotations

from dataclasses import dataclass

from provenance.ledger.checkpoint import parse_checkpoint
from provenance.ledger.merkle import Hash, leaf_hash, node_hash
from provenance.ledger.note import parse_note
from provenance.ledger.proof import Proof

WIDE, HIGH, GAP, RISE = 190, 34, 40, 66
_LEFT, _RIGHT = 10, 10 + WIDE + GAP


@dataclass(frozen=True)
class Box:
    """One hash: where it stands, what it says, and whether it is own, given or the root."""

    x: int
    y: int
    kind: str
    hash: str
    name: str


@dataclass(frozen=True)
class Drawn:
    """The whole drawing, from the root at the top down to the entry."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[tuple[int, int, int, int], ...]
    size: int
    levels: int
    steps: tuple[str, ...]  # the same in words, the entry first


def draw_path(proof: Proof) -> Drawn:
    """The drawing of a proof that holds."""
    size = parse_checkpoint(parse_note(proof.checkpoint).text).size
    place, last, value = proof.index, size - 1, leaf_hash(proof.record)
    bottom = 10 + RISE * len(proof.path)
    boxes = [Box(_LEFT, bottom, "own", value.hex(), f"entry {proof.index}")]
    lines, steps = [], [f"The hash of entry {proof.index} is {value.hex()}."]
    for level, sibling in enumerate(proof.path, start=1):
        y = bottom - RISE * level
        left = bool(place & 1) or place == last
        while left and place and not place & 1:
            place, last = place >> 1, last >> 1
        value = node_hash(sibling, value) if left else node_hash(value, sibling)
        place, last = place >> 1, last >> 1
        top = level == len(proof.path)
        side = "left" if left else "right"
        boxes.append(Box(_RIGHT, y + RISE, "given", sibling.hex(), f"from the proof ({side})"))
        boxes.append(Box(_LEFT, y, "root" if top else "own", value.hex(), _name(level, top)))
        lines += _joined(y)
        steps.append(_step(side, sibling, value))
    if not proof.path:
        boxes[0] = Box(_LEFT, bottom, "root", value.hex(), "entry 0 is the root")
    height = bottom + HIGH + 10
    width = _RIGHT + WIDE + 10
    return Drawn(width, height, tuple(boxes), tuple(lines), size, len(proof.path), tuple(steps))


def _name(level: int, top: bool) -> str:  # noqa: FBT001 - what the box is
    return "root, which is signed" if top else f"computed, level {level}"


def _joined(y: int) -> list[tuple[int, int, int, int]]:
    """From the two boxes beneath to the one at height y."""
    middle, end = _LEFT + WIDE // 2, _RIGHT + WIDE // 2
    return [
        (middle, y + RISE, middle, y + HIGH),
        (end, y + RISE, middle + 30, y + HIGH),
    ]


def _step(side: str, sibling: Hash, value: Hash) -> str:
    return f"With {sibling.hex()} on its {side} it gives {value.hex()}."
