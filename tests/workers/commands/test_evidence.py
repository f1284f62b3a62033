"""A pack leaves the house in one file, and is checked where there is no house."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from provenance.database import transaction
from provenance.ledger.log import Draft, append
from provenance.ledger.note import format_vkey
from provenance.ledger.record import Digest, Revocation, Subject
from provenance.manifest.container import Kind
from provenance.manifest.write import sign
from tests.provenance.authority import authority
from tests.provenance.ledger.logs import AT, picture
from tests.provenance.manifest.files import make_authority, make_claim
from tests.provenance.manifest.files import picture as make_picture
from workers.command import main
from workers.folder import make, open_folder

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIVEN = authority()
FILE = b"\x89PNG of b"
HEAVY = ("sqlalchemy", "alembic", "platformdirs", "torch", "numpy", "PIL", "rfc3161_client")


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A log of four signed entries, the third of which revokes the first; its verifier key."""
    monkeypatch.setenv("COUNTERMARK_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (verifier,) = make(tmp_path / "data", origin="example.com/log", now=NOW).log_verifiers()
    later = replace(picture("b"), at=AT + timedelta(days=1), file=Digest(sha256(FILE).digest()))
    with open_folder(Path("data")) as folder, transaction(folder.engine) as session:
        first, _ = append(session, [Draft(picture("a")), Draft(later)])
        gone = Revocation(AT + timedelta(days=2), Subject(0, first.leaf), "mis\u202etaken")
        append(session, [Draft(gone), Draft(picture("c"))])
    assert main(["log", "checkpoint"]) == 0
    for name, data in {"b.png": FILE, "m": b"jumbf", "r": b"{}", "text": b"x"}.items():
        Path(name).write_bytes(data)
    Path("root.pem").write_bytes(GIVEN.root.public_bytes(Encoding.PEM))
    return format_vkey(verifier)


def pack(*arguments: object, out: str = "e.zip") -> int:
    return main(["evidence", "pack", *map(str, arguments), "--out", out])


def check(key: str, *arguments: str) -> int:
    return main(["evidence", "check", "e.zip", "--key", key, *arguments])


def test_a_pack_is_checked_where_nothing_else_is_installed(key: str) -> None:
    assert pack("--id", "b", "--picture", "b.png", "--manifest", "m", "--report", "r") == 0
    program = (
        "import sys\n"
        f"for name in {HEAVY!r}: sys.modules[name] = None\n"
        "from workers.command import main\n"
        f"sys.exit(main(['evidence', 'check', 'e.zip', '--key', {key!r}]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": "nowhere", "PYTHONPATH": str(ROOT)},
    )
    assert ran.stdout.splitlines()[0] == "proven: 1 of example.com/log: entry 1"
    assert "the picture is the file that entry 1 names" in ran.stdout
    assert "attached to entry 1, not proven: detector.json, manifest.c2pa" in ran.stdout
    assert "no later entry revokes it" in ran.stdout


def test_the_manifest_is_taken_out_of_the_picture(key: str) -> None:
    authority = make_authority()
    signed = sign(make_picture(Kind.PNG), make_claim(), authority.signer)
    record = replace(picture("d"), file=Digest(sha256(signed.file).digest()))
    with open_folder(Path("data")) as folder, transaction(folder.engine) as session:
        append(session, [Draft(record)])
    assert main(["log", "checkpoint"]) == 0
    Path("d.png").write_bytes(signed.file)
    for more, expected in (((), signed.store), (("--manifest", "m"), b"jumbf")):
        assert pack("--id", "d", "--picture", "d.png", *more) == 0
        with zipfile.ZipFile("e.zip") as made:
            assert made.read("entries/000000000004/manifest.c2pa") == expected
    assert check(key) == 0


def test_a_pack_says_what_revokes_its_entry(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert pack("--entry", 0) == 0
    assert check(key) == 0
    said = capsys.readouterr().out
    assert "proven: 2 of example.com/log: 0 to 2, with gaps" in said
    assert "entry 2 revokes entry 0: mis\\u202etaken" in said


def test_a_period_has_no_gap(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert pack("--since", "2026-11-22T00:00Z", "--until", "2026-11-24T00:00Z") == 0
    assert check(key) == 0
    assert "proven: 4 of example.com/log: 0 to 3, without a gap" in capsys.readouterr().out
    assert pack("--since", "2027-01-01T00:00Z", "--until", "2028-01-01T00:00Z") == 2
    assert "no entry is dated" in capsys.readouterr().err


def test_the_same_log_gives_the_same_pack(key: str) -> None:
    for out in ("1.zip", "2.zip"):
        assert pack("--id", "b", "--picture", "b.png", out=out) == 0
    assert Path("1.zip").read_bytes() == Path("2.zip").read_bytes()


def test_a_timestamp_in_a_pack_is_checked_with_the_readers_roots(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pack("--id", "b") == 0
    assert check(key, "--roots", "root.pem") == 1
    assert "no timestamp for --roots" in capsys.readouterr().err
    assert main(["log", "timestamp", "ask", "t"]) == 0
    Path("t.tsr").write_bytes(GIVEN.respond(Path("t.checkpoint").read_bytes()))
    assert main(["log", "timestamp", "keep", "t", "--roots", "root.pem"]) == 0
    assert pack("--id", "b") == 0
    assert check(key) == 0
    assert "not checked: 1 timestamps, without --roots" in capsys.readouterr().out
    assert check(key, "--roots", "root.pem") == 0
    assert "was signed by 2026-11-22T12:00:01+00:00" in capsys.readouterr().out
    Path("root.pem").write_bytes(authority().root.public_bytes(Encoding.PEM))
    assert check(key, "--roots", "root.pem") == 1
    assert "not proven: timestamp does not hold" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--id", "z"], "no picture 'z'"),
        (["--entry", "9"], "in no checkpoint yet"),
        (["--id", "a", "--picture", "b.png"], "picture of entry 0 is not the file"),
        (["--entry", "2", "--report", "r"], "no picture, and has files beside it"),
        (["--id", "a", "--report", "missing"], "No such file"),
        (["--id", "a", "--until", "2026-11-22T00:00Z"], "--since and --until go together"),
        (["--since", "2026-11-22T00:00Z"], "--since and --until go together"),
        (
            ["--since", "2026-11-22T00:00Z", "--until", "2027-11-22T00:00Z", "--report", "r"],
            "not beside a period",
        ),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    key: str, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert pack(*arguments) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not Path("e.zip").exists()


def test_what_is_not_proven_says_why_in_one_line(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pack("--id", "b", "--picture", "b.png") == 0
    good = Path("e.zip").read_bytes()
    for bad in (good.replace(b"PNG of b", b"PNG of c"), good[:-1], b"", Path("text").read_bytes()):
        Path("e.zip").write_bytes(bad)
        capsys.readouterr()
        assert check(key) == 1
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
        assert said.err.startswith("not proven: ")
    assert check(key, "--roots", "text") == 2
    assert "not a file of PEM certificates" in capsys.readouterr().err
