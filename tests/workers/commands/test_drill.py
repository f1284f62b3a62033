"""`countermark drill key-compromise` trusts what a witness saw in time, and changes nothing."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from provenance.database import transaction
from provenance.keys import Purpose
from provenance.ledger.anchor import add_cosignatures, sign_checkpoint
from provenance.ledger.checkpoint import Timestamp
from provenance.ledger.dating import keep_timestamp
from provenance.ledger.log import Draft, append
from provenance.ledger.note import (
    Algorithm,
    Signer,
    cosign_note,
    format_vkey,
    parse_note,
    sign_note,
)
from provenance.ledger.record import Mark
from provenance.timestamp import request_timestamp
from tests.provenance.authority import authority
from tests.provenance.ledger.logs import picture
from workers.command import main
from workers.folder import TENANT, open_folder

WITNESS = Signer("w.example", Algorithm.COSIGNATURE, b"\x03" * 32)
STRANGER = Signer("s.example", Algorithm.COSIGNATURE, b"\x04" * 32)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BEFORE, AFTER = NOON - timedelta(hours=1), NOON + timedelta(hours=1)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with three pictures: the witness saw one before noon, two after."""
    folder = tmp_path / "data"
    monkeypatch.setenv("COUNTERMARK_DATA", str(folder))
    assert main(["init", "--log", "example.com/log"]) == 0
    record(folder, "a")
    cosign(folder, WITNESS, BEFORE)
    record(folder, "b")
    cosign(folder, WITNESS, AFTER)
    record(folder, "c")
    return folder


def record(data: Path, name: str) -> None:
    """A picture marked with the active key."""
    with open_folder(data) as folder:
        mark = Mark("green-list/1", folder.keyring.marks().active(TENANT).key_id)
        with transaction(folder.engine) as session:
            append(session, [Draft(replace(picture(name), mark=mark))])


def cosign(data: Path, witness: Signer, at: datetime) -> bytes:
    """A checkpoint that the witness signed at a time, kept in the database."""
    with open_folder(data) as folder:
        note = sign_checkpoint(folder.engine, folder.keyring.log_signers(), folder.anchor)
        cosigned = cosign_note(note, witness, seconds=int(at.timestamp()))
        log = folder.keyring.log_verifiers()
        add_cosignatures(folder.engine, cosigned, log, [witness.verifier])
    return cosigned


def key_of(data: Path, purpose: Purpose, owner: str = TENANT) -> str:
    with open_folder(data) as folder:
        return folder.keyring.active(purpose, owner).key_id


def drill(key: str, *options: str, since: datetime = NOON) -> int:
    at = since.isoformat()
    return main(["drill", "key-compromise", "--key", key, "--since", at, "--json", *options])


def trusting(witness: Signer) -> tuple[str, str]:
    return ("--witness", format_vkey(witness.verifier))


def rows(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def statuses(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [row["status"] for row in rows(capsys)]


def test_only_what_the_witness_saw_in_time_is_trusted(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert drill(key_of(data, Purpose.MARK), *trusting(WITNESS)) == 1
    found = rows(capsys)
    assert [(row["id"], row["status"], row["seen"]) for row in found] == [
        ("a", "trusted", BEFORE.isoformat()),
        ("b", "undated", AFTER.isoformat()),
        ("c", "undated", None),
    ]
    assert found[0]["clock"] == "w.example"


def test_a_later_compromise_leaves_more_standing(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cosign(data, WITNESS, AFTER)
    later = AFTER + timedelta(seconds=1)
    assert drill(key_of(data, Purpose.MARK), *trusting(WITNESS), since=later) == 0
    captured = capsys.readouterr()
    assert captured.out.count('"trusted"') == 3
    assert "3 are trusted and 0 undated" in captured.err


@pytest.mark.parametrize("options", [(), trusting(STRANGER)])
def test_without_a_trusted_clock_nothing_stands(
    data: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert drill(key_of(data, Purpose.MARK), *options) == 1
    assert statuses(capsys) == ["undated"] * 3


def test_a_cosigned_checkpoint_kept_elsewhere_counts(
    data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with open_folder(data) as folder:
        note = sign_checkpoint(folder.engine, folder.keyring.log_signers(), folder.anchor)
    kept = tmp_path / "kept"
    kept.write_bytes(cosign_note(note, STRANGER, seconds=int(BEFORE.timestamp())))
    key = key_of(data, Purpose.MARK)
    assert drill(key, *trusting(STRANGER), "--checkpoint", str(kept)) == 0
    assert statuses(capsys) == ["trusted"] * 3
    assert drill(key, *trusting(WITNESS), "--checkpoint", str(kept)) == 2
    assert "0 trusted witnesses signed" in " ".join(capsys.readouterr().err.split())


def test_a_timestamp_of_a_trusted_authority_counts(
    data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    trusted, other = authority(), authority()
    with open_folder(data) as folder:
        signers, log = folder.keyring.log_signers(), folder.keyring.log_verifiers()
        note = sign_checkpoint(folder.engine, signers, folder.anchor)
        dated, _ = request_timestamp(note, log[0])
        stamp = Timestamp(dated, trusted.respond(dated))
        with transaction(folder.engine) as session:
            keep_timestamp(session, stamp, log=log, roots=[trusted.root])
    key, latest = key_of(data, Purpose.MARK), NOON + timedelta(seconds=1)  # its accuracy
    for clock, since, expected in (
        (trusted, latest + timedelta(seconds=1), "trusted"),
        (trusted, latest, "undated"),
        (other, latest + timedelta(seconds=1), "undated"),
    ):
        roots = tmp_path / "roots.pem"
        roots.write_bytes(clock.root.public_bytes(Encoding.PEM))
        assert drill(key, "--authority", str(roots), since=since) == (expected != "trusted")
        assert statuses(capsys) == [expected] * 3


def test_a_checkpoint_over_other_records_stops_the_drill(
    data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    forked = tmp_path / "forked"
    with open_folder(data) as folder:
        text = parse_note(folder.anchor.read_bytes()).text.replace("\n2\n", "\n1\n")
        note = sign_note(text, folder.keyring.log_signers())
    forked.write_bytes(cosign_note(note, WITNESS, seconds=int(BEFORE.timestamp())))
    key = key_of(data, Purpose.MARK)
    assert drill(key, *trusting(WITNESS), "--checkpoint", str(forked)) == 2
    assert "over other records than these" in capsys.readouterr().err


def test_the_logs_own_key_covers_every_entry_of_its_time(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = key_of(data, Purpose.LOG, "example.com/log")
    assert main(["keys", "rotate", "--purpose", "log"]) == 0
    assert main(["keys", "retire", "--purpose", "log"]) == 0
    new = key_of(data, Purpose.LOG, "example.com/log")
    record(data, "d")
    capsys.readouterr()
    assert drill(old, *trusting(WITNESS)) == 1
    assert statuses(capsys) == ["trusted", *["undated"] * 4]
    assert drill(new, *trusting(WITNESS)) == 1
    assert [row["entry"] for row in rows(capsys)] == [3, 4, 5]


def test_a_drill_changes_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = key_of(data, Purpose.MARK)
    before = {p.name: p.read_bytes() for p in data.iterdir()}
    capsys.readouterr()
    assert main(["drill", "key-compromise", "--key", key, "--since", NOON.isoformat()]) == 1
    assert "undated" in capsys.readouterr().out
    assert {p.name: p.read_bytes() for p in data.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--key", "x.1.0"], "no key has the id 'x.1.0'"),
        (["--key", "TOKEN"], "no record of the log is made with a token key"),
        (["--key", "MARK", "--witness", "w"], "verifier key"),
        (["--key", "MARK", "--checkpoint", "missing"], "missing"),
        (["--key", "MARK", "--authority", "missing"], "missing"),
    ],
)
def test_bad_input_is_one_line(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    named = {"TOKEN": key_of(data, Purpose.TOKEN), "MARK": key_of(data, Purpose.MARK)}
    capsys.readouterr()
    given = [named.get(one, one) for one in arguments]
    assert main(["drill", "key-compromise", "--since", NOON.isoformat(), *given]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("countermark: ")
    assert says in line
