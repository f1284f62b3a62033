"""The auditor's command needs a file and a key: no database, no network, nothing else of ours."""

import subprocess
import sys
from pathlib import Path

import pytest

from provenance.database import snapshot
from provenance.ledger.__main__ import main
from provenance.ledger.export import export_log
from provenance.ledger.log import Draft, prove
from provenance.ledger.note import format_vkey
from provenance.ledger.proof import format_proof
from tests.provenance.ledger.logs import Log, picture

FORBIDDEN = ("sqlalchemy", "alembic", "torch", "numpy", "PIL", "socket", "http")


@pytest.fixture
def key(sqlite_log: Log) -> str:
    return format_vkey(sqlite_log.signer.verifier)


@pytest.fixture
def file(sqlite_log: Log, tmp_path: Path) -> Path:
    sqlite_log.append(Draft(picture("a")), Draft(picture("b")))
    sqlite_log.sign()
    path = tmp_path / "b.tlog-proof"
    with snapshot(sqlite_log.engine) as session:
        path.write_bytes(format_proof(prove(session, 1)))
        export_log(session, tmp_path / "static")
    return path


def test_a_proof_is_checked_in_a_process_without_a_database(file: Path, key: str) -> None:
    program = (
        "import sys, runpy\n"
        f"for name in {FORBIDDEN!r}: sys.modules[name] = None\n"
        "sys.argv[0] = 'ledger'\n"
        "runpy.run_module('provenance.ledger', run_name='__main__')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, "check-proof", str(file), "--key", key],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert ran.stdout.startswith("proven: entry 1 of example.com/log\n")
    assert "not proven: that the record is true" in ran.stdout


def test_what_is_not_proven_says_why_in_one_line(
    file: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-proof", str(file), "--key", key]) == 0
    capsys.readouterr()
    file.write_bytes(file.read_bytes().replace(b"index 1", b"index 0"))
    for arguments, why in (
        (["check-proof", str(file), "--key", key], "index 0 does not lead to the root"),
        (["check-proof", str(file), "--key", key.replace("log+", "other+")], "key id"),
        (["check-proof", str(file) + "x", "--key", key], "No such file"),
        (["check-proof", str(file.parent), "--key", key], "directory"),
    ):
        assert main(arguments) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("not proven: ")
        assert why in said.err
        assert said.err.count("\n") == 1


def test_an_export_is_checked_whole(
    file: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = file.parent / "static"
    assert main(["check-export", str(folder), "--key", key]) == 0
    assert capsys.readouterr().out == "whole: 2 entries of example.com/log\n"
    (folder / "tile/0/000.p/2").write_bytes(b"\x00" * 64)
    assert main(["check-export", str(folder), "--key", key]) == 1
    assert "not the tile of the records" in capsys.readouterr().err
