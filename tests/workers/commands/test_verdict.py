"""A verdict is signed with its entry in the log, and checked with files and public keys alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from provenance.database import snapshot
from provenance.dsse import Signer, parse_envelope, sign_envelope
from provenance.keys import Purpose, format_verdict_key, parse_verdict_key, verdict_key
from provenance.ledger.errors import Malformed, NotProven
from provenance.ledger.log import find_entries, read_record
from provenance.ledger.note import format_vkey
from provenance.ledger.record import Digest, SignedVerdict
from provenance.verdict.statement import PAYLOAD_TYPE
from tests.provenance.ledger.logs import picture
from tests.workers.commands.test_proof import HEAVY
from tests.workers.commands.test_proof import ROOT as TREE
from tests.workers.commands.toy_model import installation
from tests.workers.toys import generator
from workers.command import main
from workers.commands.verdict import check_record
from workers.folder import TENANT, open_folder


@dataclass(frozen=True)
class Home:
    """A folder with a.png and b.png, a signed verdict about each, and the keys to check them."""

    path: Path
    key: str
    log: str


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    place = tmp_path_factory.mktemp("home")
    with installation(place, generator(place)[0].spec) as path:
        for name, seed in (("a", "3"), ("b", "4")):
            drawn = ["generate", "grey", "--model", "toy", "--seed", seed, "--out", f"{name}.png"]
            assert main(drawn) == 0
            sought = ["--model", "toy", "--search", "quick", "--sign", f"{name}.verdict"]
            assert main(["verify", f"{name}.png", *sought]) == 0
        with open_folder(path / "data") as folder:
            key = format_verdict_key(folder.keyring.active(Purpose.VERDICT, TENANT))
            log = format_vkey(folder.keyring.log_verifiers()[0])
        yield Home(path, key, log)


def check(home: Home, *more: str, file: str = "a.verdict", key: str | None = None) -> int:
    return main(["verdict", "check", file, "--key", key or home.key, *more])


def logged(home: Home, name: str = "a") -> tuple[str, ...]:
    return ("--proof", f"{name}.verdict.tlog-proof", "--log", home.log)


def test_a_verdict_is_checked_where_nothing_else_is_installed(home: Home) -> None:
    asked = ["verdict", "check", "a.verdict", "--key", home.key, "--picture", "a.png"]
    program = (
        "import sys\n"
        f"for name in {HEAVY!r}: sys.modules[name] = None\n"
        "from workers.command import main\n"
        f"sys.exit(main({[*asked, *logged(home)]!r}))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=home.path,
        env={"HOME": "nowhere", "PYTHONPATH": str(TREE)},
    )
    said = ran.stdout.splitlines()
    assert said[0].startswith(f"signed: by key {home.key.partition('+')[0]}, at 2")
    assert said[1] == f"file: {sha256((home.path / 'a.png').read_bytes()).hexdigest()}"
    assert said[2].startswith("verdict: intact: made here")
    assert "about: the very file given" in said
    assert any(line.startswith("recorded: entry 1 of countermark-") for line in said)


def test_the_log_has_the_digest_of_the_statement_and_not_that_of_the_file(home: Home) -> None:
    payload = parse_envelope((home.path / "a.verdict").read_bytes()).payload
    with open_folder(home.path / "data") as folder, snapshot(folder.engine) as session:
        assert find_entries(session, "statement", sha256(payload).digest()) == [1]
        record = read_record(session, 1)
    assert isinstance(record, SignedVerdict)
    assert record.key == home.key.partition("+")[0]
    assert main(["log", "check"]) == 0


def test_the_drill_counts_what_a_verdict_key_signed(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    lost = ["--key", home.key.partition("+")[0], "--since", "2100-01-01T00:00Z", "--json"]
    assert main(["drill", "key-compromise", *lost]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["entry"], row["kind"]) for row in rows] == [(1, "verdict"), (3, "verdict")]


def test_without_proof_or_picture_it_says_what_was_not_checked(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert check(home) == 0
    said = capsys.readouterr().out
    assert "not compared with any file" in said
    assert "not checked: whether the log has it" in said


def test_a_changed_verdict_is_not_proven(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads((home.path / "a.verdict").read_bytes())
    other = json.loads((home.path / "b.verdict").read_bytes())
    bad = home.path / "bad.verdict"
    for field in ("payload", "payloadType", "signatures"):
        changed = "application/other" if field == "payloadType" else other[field]
        bad.write_text(json.dumps(document | {field: changed}))
        capsys.readouterr()
        assert check(home, file="bad.verdict") == 1
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1)
        assert said.err.startswith("not proven: envelope is signed by 0 trusted keys")


def test_a_verdict_that_does_not_follow_from_its_findings_is_not_proven(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    payload = parse_envelope((home.path / "a.verdict").read_bytes()).payload
    with open_folder(home.path / "data") as folder:
        signer = Signer("us", verdict_key(folder.keyring.active(Purpose.VERDICT, TENANT)))
    bent = payload.replace(b'"outcome":"intact"', b'"outcome":"stripped"')
    (home.path / "bent.verdict").write_bytes(sign_envelope(PAYLOAD_TYPE, bent, [signer]))
    capsys.readouterr()
    assert check(home, file="bent.verdict") == 1
    assert "does not follow from its findings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--picture", "b.png"], "about another file"),
        (["--proof", "b.verdict.tlog-proof"], "another entry than that of this verdict"),
    ],
)
def test_what_belongs_to_another_verdict_is_not_taken(
    home: Home, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    capsys.readouterr()
    assert check(home, *more, *(["--log", home.log] if "--proof" in more else [])) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked",
    [
        ["verdict", "check", "a.verdict", "--key", "x"],
        ["verdict", "check", "none.verdict", "--key", "KEY"],
        ["verdict", "check", "a.verdict", "--key", "KEY", "--log", "x"],
        ["verify", "a.png", "b.png", "--model", "toy", "--sign", "c.verdict"],
    ],
)
def test_wrong_usage_is_one_line_and_status_2(
    home: Home, capsys: pytest.CaptureFixture[str], asked: list[str]
) -> None:
    capsys.readouterr()
    assert main([home.key if one == "KEY" else one for one in asked]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (home.path / "c.verdict").exists()


def test_a_verdict_key_is_read_as_written_and_not_with_one_thing_wrong(home: Home) -> None:
    name, public = parse_verdict_key(home.key)
    assert home.key.startswith(f"{name}+")
    assert len(public.public_bytes_raw()) == 32
    flipped = home.key.replace(name[-8:], f"{int(name[-8:], 16) ^ 1:08x}")
    for bad in (flipped, home.key[:-1], home.key.replace("+", "", 1), f"{home.key}\n", name):
        with pytest.raises(Malformed):
            parse_verdict_key(bad)


def test_a_record_of_another_key_does_not_vouch_for_a_verdict() -> None:
    at, payload = datetime(2026, 11, 22, tzinfo=UTC), b"a statement"
    digest = Digest(sha256(payload).digest())
    check_record(SignedVerdict(at, digest, "a"), payload, "a")
    for name, other in (("b", SignedVerdict(at, digest, "a")), ("a", picture("a"))):
        with pytest.raises(NotProven):
            check_record(other, payload, name)
