"""The log's commands, from the first checkpoint to a witness and an authority that date it."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from cryptography.hazmat.primitives.serialization import Encoding

from provenance.database import transaction
from provenance.ledger.log import Draft, append
from provenance.ledger.note import format_vkey
from tests.api.serving import serving
from tests.provenance.authority import authority
from tests.provenance.ledger.logs import picture
from workers.command import main
from workers.folder import make, open_folder
from workers.witness_http import WitnessDoor

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GIVEN = authority()


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The verifier key of the log in a new data folder, beside which the commands run."""
    monkeypatch.setenv("COUNTERMARK_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (verifier,) = make(tmp_path / "data", origin="example.com/log", now=NOW).log_verifiers()
    return format_vkey(verifier)


def record(*names: str) -> None:
    with open_folder(Path("data")) as folder, transaction(folder.engine) as session:
        append(session, [Draft(picture(name)) for name in names])


def log(*arguments: object) -> int:
    return main(["log", *map(str, arguments)])


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """All that the commands since the last call have said, as one line."""
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_a_record_is_proven_in_a_file_that_the_proof_command_accepts(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record("a", "b")
    assert log("prove", "--id", "b", "--out", "b.tlog-proof") == 2
    assert "entry 1 is not in the last checkpoint, of size 0" in said(capsys)
    assert not Path("b.tlog-proof").exists()
    assert log("checkpoint") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("example.com/log\n2\n")
    assert printed.encode() == Path("data/anchor").read_bytes()
    for which in (["--id", "b"], ["--entry", 1]):
        assert log("prove", *which, "--out", "b.tlog-proof") == 0
        assert main(["proof", "check", "b.tlog-proof", "--key", key]) == 0
        assert "proven: entry 1 of example.com/log" in said(capsys)
    for which, why in ((["--id", "z"], "no picture 'z'"), (["--entry", -1], "entry -1 is not")):
        assert log("prove", *which, "--out", "z.tlog-proof") == 2
        assert why in said(capsys)


def test_the_log_is_checked_at_home_and_as_an_export(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record("a", "b")
    log("checkpoint")
    assert log("check") == 0
    assert "whole: 2 entries of example.com/log" in said(capsys)
    assert log("export", "static") == 0
    assert log("check", "--export", "static", "--key", key) == 0
    assert "whole: 2 entries" in said(capsys)
    Path("static/tile/0/000.p/2").write_bytes(b"\x00" * 64)
    assert log("check", "--export", "static", "--key", key) == 1
    assert "not whole: static/tile/0/000.p/2 is not the tile" in said(capsys)
    Path("data/anchor").write_bytes(b"")
    assert log("check") == 1
    assert "not whole: a stored checkpoint does not hold" in said(capsys)


@pytest.mark.parametrize(
    "wrong", [["--export", "x"], ["--key", "x"], ["--export", "x", "--key", "y", "--roots", "z"]]
)
def test_check_refuses_options_that_do_not_go_together(
    key: str, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert log("check") == 0
    assert log("check", *wrong) == 2
    assert "export" in said(capsys)


def test_a_witness_elsewhere_signs_only_what_extends_what_it_signed(
    key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = ["--key", "w.key", "--state", "w.state"]
    assert log("witness", "new", "w.example", *there) == 0
    witness = said(capsys)
    assert stat.S_IMODE(Path("w.key").stat().st_mode) == 0o600
    assert log("witness", "new", "w.example", *there) == 2
    size = 0
    for name in "abc":
        record(name)
        log("checkpoint")
        assert log("witness", "ask", "--since", size, "--out", "q") == 0
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("COUNTERMARK_DATA", "nowhere")
            assert log("witness", "sign", "q", "--log", key, "--out", "signed", *there) == 0
            size += 1
            assert f"w.example has now signed size {size}" in said(capsys)
            assert log("witness", "sign", "q", "--log", key, "--out", "again", *there) == 2
            assert f"the witness is at size {size}, not at {size - 1}" in said(capsys)
            assert not Path("again").exists()
        assert log("witness", "keep", "signed", "--witness", witness) == 0
    assert log("prove", "--entry", 0, "--out", "p") == 0
    assert main(["proof", "check", "p", "--key", key, "--witness", witness]) == 0
    assert log("check") == 0


def test_a_witness_that_answers_over_http_is_asked_by_its_address(
    key: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = ["--key", "w.key", "--state", "w.state"]
    log("witness", "new", "w.example", *there)
    witness = said(capsys)
    doors: list[WitnessDoor] = []
    monkeypatch.setattr(uvicorn, "run", lambda door, **_: doors.append(door))
    assert log("witness", "serve", "--log", key, *there) == 0
    assert "w.example signs for example.com/log at 127.0.0.1:8001" in said(capsys)
    record("a")
    log("checkpoint")
    with serving(doors[0]) as url:
        asked = ["witness", "ask", "--url", url, "--witness", witness]
        assert log(*asked) == 0
        assert "kept the signature of w.example" in said(capsys)
        assert log(*asked) == 0
        assert "has the signature already" in said(capsys)
    assert log("prove", "--entry", 0, "--out", "p") == 0
    assert main(["proof", "check", "p", "--key", key, "--witness", witness]) == 0
    record("b")
    log("checkpoint")
    capsys.readouterr()
    assert log(*asked) == 2
    assert "refused" in said(capsys)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--url", "http://127.0.0.1:1"],
        ["--out", "q", "--witness", "x"],
        ["--url", "http://127.0.0.1:1", "--witness", "x", "--since", "1"],
    ],
)
def test_ask_refuses_options_that_do_not_go_together(
    key: str, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert log("witness", "ask", *wrong) == 2
    assert "--" in said(capsys)
    assert not Path("q").exists()


def test_a_witness_without_its_state_or_with_an_open_key_signs_nothing(
    key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    there = ["--key", "w.key", "--state", "w.state"]
    log("witness", "new", "w.example", *there)
    record("a")
    log("checkpoint")
    log("witness", "ask", "--out", "q")
    sign = ["witness", "sign", "q", "--log", key, "--out", "signed", *there]
    Path("w.state").unlink()
    assert log(*sign) == 2
    assert "No such file or directory: 'w.state'" in said(capsys)
    Path("w.state").touch()
    Path("w.key").chmod(0o640)
    assert log(*sign) == 2
    assert "others may read w.key" in said(capsys)
    Path("w.key").chmod(0o600)
    assert log(*sign) == 0


def test_an_authority_dates_the_log(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("root.pem").write_bytes(GIVEN.root.public_bytes(Encoding.PEM))
    Path("other.pem").write_bytes(authority().root.public_bytes(Encoding.PEM))
    record("a")
    log("checkpoint")
    assert log("timestamp", "ask", "first") == 0
    assert Path("first.tsq").read_bytes()[0] == 0x30
    record("b")
    log("checkpoint")
    Path("first.tsr").write_bytes(GIVEN.respond(Path("first.checkpoint").read_bytes()))
    assert log("timestamp", "keep", "first", "--roots", "other.pem") == 2
    assert "timestamp does not hold" in said(capsys)
    assert log("timestamp", "keep", "first", "--roots", "root.pem") == 0
    assert "size 1 was signed by 2026-11-22T12:00:01+00:00" in said(capsys)
    assert log("check") == 0
    assert "1 timestamps not checked" in said(capsys)
    assert log("check", "--roots", "root.pem") == 0
    assert "1 timestamps hold" in said(capsys)
    assert log("check", "--roots", "other.pem") == 1
    assert "not whole: timestamp does not hold" in said(capsys)
