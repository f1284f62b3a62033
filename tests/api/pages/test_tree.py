"""The path from an entry to the root is drawn as it is computed."""

from __future__ import annotations

import pytest

from api.pages.tree import draw_path
from provenance.ledger.checkpoint import parse_checkpoint
from provenance.ledger.note import parse_note
from tests.api.pages.proofs import Log, records

LOG = Log(records(23))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 23])
def test_every_path_ends_in_the_root_that_is_signed(size: int) -> None:
    for index in range(size):
        proof = LOG.prove(index, size)
        drawn = draw_path(proof)
        root = parse_checkpoint(parse_note(proof.checkpoint).text).root.hex()
        (top,) = [box for box in drawn.boxes if box.kind == "root"]
        assert top.hash == root
        assert top.y == min(box.y for box in drawn.boxes)
        assert drawn.levels == len(proof.path) == len(drawn.lines) // 2
        assert len([box for box in drawn.boxes if box.kind == "given"]) == drawn.levels
        assert all(0 <= box.x < drawn.width and 0 <= box.y < drawn.height for box in drawn.boxes)
