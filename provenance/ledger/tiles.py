"""A log as static files (c2sp.org/tlog-tiles), and the check of such files by an outsider.

A tile holds up to 256 consecutive hashes of one level, a bundle up to 256 records. `check_tiles`
needs the folder and the log's key: it reads every record, rebuilds every tile and the signed root.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.ledger.checkpoint import Checkpoint, open_checkpoint
from provenance.ledger.errors import Malformed, NotProven
from provenance.ledger.merkle import HASH_BYTES, Hash, Node, cover, grow, leaf_hash, tree_root
from provenance.ledger.note import MAX_NOTE_BYTES, Verifier
from provenance.ledger.record import MAX_RECORD_BYTES, parse_record

WIDTH = 256
_HEIGHT = 8
_LENGTH_BYTES = 2


@dataclass(frozen=True)
class Tile:
    """`width` hashes from number `place * 256` on, of the tree's level `8 * level`."""

    level: int
    place: int
    width: int

    @property
    def nodes(self) -> list[Node]:
        first = self.place * WIDTH
        return [(self.level * _HEIGHT, first + i) for i in range(self.width)]


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile of a tree of this size, the partial ones included, from the leaves up."""
    level = 0
    while count := size >> (level * _HEIGHT):
        for place in range(count // WIDTH):
            yield Tile(level, place, WIDTH)
        if count % WIDTH:
            yield Tile(level, count // WIDTH, count % WIDTH)
        level += 1


def tile_path(tile: Tile) -> str:
    return f"tile/{tile.level}/{_place(tile)}"


def bundle_path(tile: Tile) -> str:
    """Where the records under a tile of level 0 are."""
    assert tile.level == 0, "records are under the lowest tiles"
    return f"tile/entries/{_place(tile)}"


def format_bundle(records: Iterable[bytes]) -> bytes:
    return b"".join(len(one).to_bytes(_LENGTH_BYTES, "big") + one for one in records)


def parse_bundle(data: bytes, width: int) -> list[bytes]:
    """Exactly `width` records; Malformed otherwise."""
    records: list[bytes] = []
    at = 0
    for _ in range(width):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data) or start > len(data):
            raise Malformed(f"bundle ends within record {len(records)}")
        records.append(data[start:at])
    if at != len(data):
        raise Malformed(f"bundle has more than its {width} records")
    return records


def check_tiles(folder: Path, log: Sequence[Verifier]) -> None:
    """Raises unless the folder holds the whole log that its checkpoint signs for.

    Malformed, NotProven, UnknownKey or WrongLog say what is wrong; OSError that a file is not
    there.
    """
    checkpoint = open_tiles(folder, log)
    size, frontier = 0, dict[Node, Hash]()
    uppers: dict[Node, Hash] = {}
    for tile in tiles_of(checkpoint.size):
        if tile.level == 0:
            limit = WIDTH * (MAX_RECORD_BYTES + _LENGTH_BYTES)
            records = parse_bundle(_read(folder / bundle_path(tile), limit), tile.width)
            for record in records:
                parse_record(record)
            made = grow(size, frontier, [leaf_hash(record) for record in records])
            known = frontier | made
            size += len(records)
            frontier = {node: known[node] for node in cover(0, size)}
            uppers |= {n: h for n, h in made.items() if n[0] and n[0] % _HEIGHT == 0}
        else:
            known = uppers
        path = folder / tile_path(tile)
        if _read(path, WIDTH * HASH_BYTES) != b"".join(known[node] for node in tile.nodes):
            raise NotProven(f"{path} is not the tile of the records")
    if tree_root(size, lambda _: frontier) != checkpoint.root:
        raise NotProven(f"the records in {folder} do not make the signed root")


def open_tiles(folder: Path, log: Sequence[Verifier]) -> Checkpoint:
    """The checkpoint of the folder, of which only the signature is checked."""
    return open_checkpoint(_read(folder / "checkpoint", MAX_NOTE_BYTES), log).checkpoint


def _place(tile: Tile) -> str:
    digits = f"{tile.place:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    return path if tile.width == WIDTH else f"{path}.p/{tile.width}"


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Malformed(f"{path} is longer than {limit} bytes")
    return data
