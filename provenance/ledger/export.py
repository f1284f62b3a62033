"""The log written out as static files that any web server can give away (c2sp.org/tlog-tiles)."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from provenance.files import write_file
from provenance.ledger.checkpoint import parse_checkpoint
from provenance.ledger.errors import NotLogged, Refused
from provenance.ledger.log import latest_checkpoint, read_nodes
from provenance.ledger.note import parse_note
from provenance.ledger.tiles import Tile, bundle_path, format_bundle, tile_path, tiles_of
from provenance.tables import EntryRow


def export_log(session: Session, folder: Path) -> int:
    """The size of the log now in `folder`: all its newest checkpoint covers, that checkpoint last.

    Files that are there already are kept if they are the same; raises Refused if one is not, for
    then the folder holds another log, and NotLogged if nothing has been signed yet.
    """
    note = latest_checkpoint(session)
    if note is None:
        raise NotLogged("the log has no checkpoint to export")
    size = parse_checkpoint(parse_note(note).text).size
    folder.mkdir(parents=True, exist_ok=True)
    for tile in tiles_of(size):
        for path, data in _files(session, tile):
            _write_once(folder / path, data)
    write_file(folder / "checkpoint", note)
    return size


def _files(session: Session, tile: Tile) -> Iterator[tuple[str, bytes]]:
    hashes = read_nodes(session, tile.nodes)
    yield tile_path(tile), b"".join(hashes[node] for node in tile.nodes)
    if tile.level == 0:
        first, last = tile.nodes[0][1], tile.nodes[-1][1]
        records = select(EntryRow.record).where(EntryRow.index.between(first, last))
        yield bundle_path(tile), format_bundle(session.scalars(records.order_by(EntryRow.index)))


def _write_once(path: Path, data: bytes) -> None:
    try:
        if path.read_bytes() != data:
            raise Refused(f"{path} is there already, and of another log")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data)
