"""The static layout is that of tlog-tiles, and an outsider finds any changed byte of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.ledger.errors import Malformed
from provenance.ledger.tiles import (
    Tile,
    bundle_path,
    format_bundle,
    parse_bundle,
    tile_path,
    tiles_of,
)


def shape(size: int) -> dict[tuple[int, int], int]:
    """How many tiles of each level and width."""
    counts: dict[tuple[int, int], int] = {}
    for tile in tiles_of(size):
        key = (tile.level, tile.width)
        counts[key] = counts.get(key, 0) + 1
    return counts


def test_a_tree_has_the_tiles_of_the_examples_in_the_specification() -> None:
    assert shape(70_000) == {(0, 256): 273, (0, 112): 1, (1, 256): 1, (1, 17): 1, (2, 1): 1}
    assert shape(256) == {(0, 256): 1, (1, 1): 1}
    assert shape(1) == {(0, 1): 1}
    assert shape(0) == {}


def test_paths_are_those_of_the_specification() -> None:
    assert tile_path(Tile(0, 1_234_067, 256)) == "tile/0/x001/x234/067"
    assert bundle_path(Tile(0, 1_234_067, 256)) == "tile/entries/x001/x234/067"
    assert tile_path(Tile(2, 0, 1)) == "tile/2/000.p/1"
    assert bundle_path(Tile(0, 273, 112)) == "tile/entries/273.p/112"
    assert tile_path(Tile(1, 1000, 256)) == "tile/1/x001/000"


def test_tiles_name_the_nodes_they_hold() -> None:
    assert Tile(1, 1, 2).nodes == [(8, 256), (8, 257)]


def test_a_bundle_reads_back_as_it_is_written() -> None:
    records = [b"", b"a", b"x" * 65_535]
    assert parse_bundle(format_bundle(records), 3) == records


@pytest.mark.parametrize(
    "bad", [b"", b"\x00", b"\x00\x02a", b"\x00\x01a\x00", b"\x00\x01a\x00\x00"]
)
def test_a_bundle_of_another_length_is_malformed(bad: bytes) -> None:
    assert parse_bundle(b"\x00\x01a", 1) == [b"a"]
    with pytest.raises(Malformed):
        parse_bundle(bad, 1)


@given(st.binary(max_size=60), st.integers(0, 6))
def test_any_bytes_are_a_bundle_that_writes_back_or_malformed(data: bytes, width: int) -> None:
    try:
        records = parse_bundle(data, width)
    except Malformed:
        return
    assert format_bundle(records) == data
    assert len(records) == width
