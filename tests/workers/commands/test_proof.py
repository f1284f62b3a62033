"""`countermark proof check` needs a file and a key: no data folder, no database, no model."""

import subprocess
import sys
from pathlib import Path

import pytest

from provenance.ledger.checkpoint import Checkpoint, format_checkpoint
from provenance.ledger.merkle import grow, leaf_hash, prove_inclusion, tree_root
from provenance.ledger.note import Algorithm, Signer, cosign_note, format_vkey, sign_note
from provenance.ledger.proof import Proof, format_proof
from provenance.ledger.record import format_record
from tests.provenance.ledger.logs import LOG, picture
from workers.command import main

ROOT = Path(__file__).parents[3]
KEY = format_vkey(LOG.verifier)
WITNESS = Signer("w.example", Algorithm.COSIGNATURE, b"\x03" * 32)
DATA = [format_record(picture(name)) for name in "abc"]
NODES = grow(0, {}, [leaf_hash(one) for one in DATA])
NOTE = sign_note(format_checkpoint(Checkpoint(LOG.name, 3, tree_root(3, lambda _: NODES))), [LOG])
GOOD = format_proof(
    Proof(DATA[1], 1, prove_inclusion(1, 3, lambda _: NODES), cosign_note(NOTE, WITNESS, seconds=9))
)
HEAVY = ("sqlalchemy", "alembic", "platformdirs", "torch", "numpy", "PIL", "rfc3161_client")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "b.tlog-proof"
    path.write_bytes(GOOD)
    return path


def check(file: Path, *more: str, key: str = KEY) -> int:
    return main(["proof", "check", str(file), "--key", key, *more])


def test_a_proof_is_checked_where_nothing_else_is_installed(file: Path) -> None:
    program = (
        "import sys\n"
        f"for name in {HEAVY!r}: sys.modules[name] = None\n"
        "from workers.command import main\n"
        f"status = main(['proof', 'check', {str(file)!r}, '--key', {KEY!r}])\n"
        "ours = {name.partition('.')[0] for name in sys.modules}\n"
        "assert 'generators' not in ours and 'migrations' not in ours\n"
        "assert 'provenance.database' not in sys.modules and 'workers.folder' not in sys.modules\n"
        "sys.exit(status)\n"
    )
    environment = {"HOME": str(file.parent / "nowhere"), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=file.parent,
        env=environment,
    )
    assert ran.stdout.startswith("proven: entry 1 of example.com/log\n")
    assert "no later entry revokes it" in ran.stdout
    assert list(file.parent.iterdir()) == [file]


def test_a_quorum_of_witnesses_can_be_asked_for(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = format_vkey(WITNESS.verifier)
    other = format_vkey(Signer("x.example", Algorithm.COSIGNATURE, b"\x04" * 32).verifier)
    assert check(file, "--witness", known) == 0
    assert check(file, "--witness", known, "--witness", other, "--quorum", "1") == 0
    assert capsys.readouterr().err == ""
    assert check(file, "--witness", known, "--witness", other) == 1
    assert "1 trusted witnesses signed, not the 2 asked for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "status", "says"),
    [
        (b"index 1", b"index 0", 1, "not proven: inclusion proof of index 0"),
        (b"\n3\n", b"\n4\n", 1, "not proven: signature of example.com/log does not hold"),
        (b"example.com/log", b"example.com/other", 1, "not proven: "),
        (b"c2sp", b"\x9b31m", 1, "not proven: proof"),
    ],
)
def test_what_is_not_proven_says_why_in_one_line(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    old: bytes,
    new: bytes,
    status: int,
    says: str,
) -> None:
    assert check(file) == 0
    capsys.readouterr()
    file.write_bytes(GOOD.replace(old, new))
    assert check(file) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(says)
    assert said.err.count("\n") == 1
    assert said.err.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": KEY.replace("log+", "other+")}, "does not match its own key id"),
        ({"key": ""}, "not name+id+key"),
        ({"more": ["--quorum", "1"]}, "--quorum must be between 0 and 0, not 1"),
        ({"file": "missing"}, "No such file"),
        ({"file": ""}, "directory"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    file: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], says: str
) -> None:
    path = file.parent / str(change["file"]) if "file" in change else file
    more = change.get("more", [])
    assert isinstance(more, list)
    assert check(path, *more, key=str(change.get("key", KEY))) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
    assert said.err.count("\n") == 1
