"""An exported log can be checked by someone who has the folder and the key, and nothing else."""

from pathlib import Path

import pytest

from provenance.database import snapshot
from provenance.ledger.errors import LedgerError, NotLogged, Refused, UnknownKey
from provenance.ledger.export import export_log
from provenance.ledger.log import Draft
from provenance.ledger.note import Algorithm, Signer
from provenance.ledger.tiles import check_tiles
from tests.provenance.ledger.logs import Log, picture


def export(log: Log, folder: Path) -> int:
    with snapshot(log.engine) as session:
        return export_log(session, folder)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_export_grows_with_the_log_and_holds_at_every_size(log: Log, tmp_path: Path) -> None:
    folder = tmp_path / "static"
    with pytest.raises(NotLogged):
        export(log, folder)
    log.append(*(Draft(picture(f"a{i}")) for i in range(3)))
    log.sign()
    assert export(log, folder) == 3
    assert files(folder) == {"checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"}
    check_tiles(folder, [log.signer.verifier])
    log.append(*(Draft(picture(f"b{i}")) for i in range(258)))
    log.sign()
    log.append(Draft(picture("not signed for")))
    assert export(log, folder) == 261
    assert {"tile/0/000", "tile/0/001.p/5", "tile/1/000.p/1"} <= files(folder)
    check_tiles(folder, [log.signer.verifier])
    assert export(log, folder) == 261


def test_an_empty_log_is_exported_as_its_checkpoint(sqlite_log: Log, tmp_path: Path) -> None:
    sqlite_log.sign()
    assert export(sqlite_log, tmp_path / "static") == 0
    check_tiles(tmp_path / "static", [sqlite_log.signer.verifier])


def test_no_changed_byte_of_an_export_passes(sqlite_log: Log, tmp_path: Path) -> None:
    folder, keys = tmp_path / "static", [sqlite_log.signer.verifier]
    sqlite_log.append(*(Draft(picture(f"a{i}")) for i in range(258)))
    sqlite_log.sign()
    export(sqlite_log, folder)
    for name in files(folder):
        path = folder / name
        good = path.read_bytes()
        for place in {0, len(good) // 2, len(good) - 1}:
            path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            with pytest.raises(LedgerError):
                check_tiles(folder, keys)
        for bad in (good[:-1], good + b"\x00", b""):
            path.write_bytes(bad)
            with pytest.raises(LedgerError):
                check_tiles(folder, keys)
        path.unlink()
        with pytest.raises(FileNotFoundError):
            check_tiles(folder, keys)
        path.write_bytes(good)
    check_tiles(folder, keys)
    stranger = Signer(sqlite_log.signer.name, Algorithm.ED25519, b"\x09" * 32)
    with pytest.raises(UnknownKey):
        check_tiles(folder, [stranger.verifier])


def test_an_export_over_another_log_is_refused(sqlite_log: Log, tmp_path: Path) -> None:
    folder = tmp_path / "static"
    sqlite_log.append(Draft(picture("a")))
    sqlite_log.sign()
    export(sqlite_log, folder)
    tile = folder / "tile/0/000.p/1"
    tile.write_bytes(b"\x00" * 32)
    with pytest.raises(Refused, match="another log"):
        export(sqlite_log, folder)
    assert tile.read_bytes() == b"\x00" * 32
