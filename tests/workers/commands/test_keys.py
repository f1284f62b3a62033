"""`countermark keys` lists without secrets, and says every change in the log."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from provenance.database import snapshot
from provenance.keys import Purpose, claim_material
from provenance.ledger.audit import check_log
from provenance.ledger.log import log_size, read_record
from provenance.ledger.note import format_vkey, parse_vkey
from provenance.ledger.record import KeyRotation, Record
from provenance.pki import CHAIN, TEST_ORGANIZATION
from workers.command import main
from workers.folder import KEYS, open_folder

PAST = "2000-01-01T00:00:00Z"


@pytest.fixture
def data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """An installation's data folder, made by `init`."""
    folder = tmp_path / "data"
    monkeypatch.setenv("COUNTERMARK_DATA", str(folder))
    assert main(["init", "--log", "example.com/log"]) == 0
    capsys.readouterr()
    return folder


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["keys", "list", "--json", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def states(capsys: pytest.CaptureFixture[str], purpose: str) -> list[str]:
    return [row["state"] for row in listed(capsys, "--purpose", purpose)]


def records(data: Path) -> list[Record]:
    """What the log says, after a check that it is whole."""
    with open_folder(data) as folder, snapshot(folder.engine) as session:
        check_log(session, folder.keyring.log_verifiers(), folder.anchor)
        return [read_record(session, index) for index in range(log_size(session))]


def test_init_prints_the_key_that_checks_proofs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COUNTERMARK_DATA", str(tmp_path / "data"))
    assert main(["init"]) == 0
    said = capsys.readouterr().err
    assert TEST_ORGANIZATION in said
    printed = parse_vkey(said.split("this key of the log: ")[1].split()[0])
    with open_folder(tmp_path / "data") as folder:
        assert folder.keyring.log_verifiers() == (printed,)


def test_list_shows_every_key_and_no_secret(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(capsys)
    assert {row["purpose"] for row in rows} == set(Purpose)
    assert {(row["state"], row["signs"], row["accepted"]) for row in rows} == {
        ("active", "yes", "yes")
    }
    assert main(["keys", "list"]) == 0
    table = capsys.readouterr().out
    shown = table + json.dumps(rows)
    with open_folder(data) as folder:
        assert not [k for k in folder.keyring.keys if k.material.hex() in shown]
        vkey = format_vkey(folder.keyring.log_verifiers()[0])
    assert f"active: {vkey}\n" in table
    assert "…" not in table


@pytest.mark.parametrize("purpose", ["mark", "log", "token", "verdict"])
def test_a_key_rotates_and_retires_by_command(
    data: Path, capsys: pytest.CaptureFixture[str], purpose: str
) -> None:
    assert main(["keys", "rotate", "--purpose", purpose]) == 0
    said = capsys.readouterr().err
    assert "active, now retiring" in said
    assert "not there, now active" in said
    assert states(capsys, purpose) == ["retiring", "active"]
    assert main(["keys", "retire", "--purpose", purpose]) == 0
    assert states(capsys, purpose) == ["retired", "active"]
    entries = records(data)
    assert len(entries) == 2
    assert all(isinstance(one, KeyRotation) and one.purpose == purpose for one in entries)


def test_a_key_made_ahead_is_the_next(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "rotate", "--purpose", "log", "--ahead"]) == 0
    assert states(capsys, "log") == ["active", "pending"]
    ahead = listed(capsys, "--purpose", "log")[1]["key"]
    assert main(["keys", "rotate", "--purpose", "log"]) == 0
    after = listed(capsys, "--purpose", "log")
    assert [(row["key"] == ahead, row["state"]) for row in after] == [
        (False, "retiring"),
        (True, "active"),
    ]


def test_a_lost_key_is_revoked_and_followed_by_command(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = listed(capsys, "--purpose", "token")[0]
    assert main(["keys", "revoke", "--key", lost["key"], "--since", lost["created"]]) == 0
    assert states(capsys, "token") == ["compromised", "active"]
    (said,) = records(data)
    assert isinstance(said, KeyRotation)
    assert said.retired == lost["key"]
    assert said.compromised == datetime.fromisoformat(lost["created"])


def test_another_tenant_gets_a_mark_key_of_its_own(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "rotate", "--purpose", "mark", "--tenant", "acme"]) == 0
    assert [row["owner"] for row in listed(capsys, "--purpose", "mark")] == ["local", "acme"]
    assert records(data) == []


def certificate(path: Path) -> x509.Certificate:
    """A self-signed certificate, in a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + timedelta(days=1))
    ).sign(key, hashes.SHA256())
    path.write_bytes(made.public_bytes(Encoding.PEM))
    return made


def test_a_claim_key_is_registered_by_its_certificate(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = certificate(data.parent / "claim.pem")
    arguments = ["keys", "rotate", "--purpose", "claim", "--certificate"]
    assert main([*arguments, str(data.parent / "claim.pem")]) == 0
    with open_folder(data) as folder:
        key = folder.keyring.active(Purpose.CLAIM, "local")
    assert key.material == claim_material(made)
    assert states(capsys, "claim") == ["retiring", "active"]
    capsys.readouterr()
    assert main([*arguments, str(data / KEYS)]) == 2
    assert "is not a certificate in PEM" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["retire", "--purpose", "mark"], "has no retiring mark key"),
        (["rotate", "--purpose", "claim"], "comes with the certificate"),
        (["rotate", "--purpose", "mark", "--certificate", "CHAIN"], "comes with the certificate"),
        (["rotate", "--purpose", "mark", "--tenant", "A B"], "'A B' cannot own a mark key"),
        (["rotate", "--purpose", "log", "--tenant", "acme"], "--tenant"),
        (["revoke", "--key", "x.1.0", "--since", "2030-01-01T00:00Z"], "no key has the id 'x.1.0'"),
        (["rotate", "--purpose", "claim", "--certificate", "none.pem"], "none.pem"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    before = (data / KEYS).read_bytes()
    given = [str(data / CHAIN) if one == "CHAIN" else one for one in arguments]
    assert main(["keys", *given]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("countermark: ")
    assert says in line
    assert (data / KEYS).read_bytes() == before
    assert records(data) == []


@pytest.mark.parametrize("since", [PAST, "2999-01-01T00:00:00Z"])
def test_a_compromise_at_an_impossible_time_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str], since: str
) -> None:
    key = listed(capsys, "--purpose", "mark")[0]["key"]
    assert main(["keys", "revoke", "--key", key, "--since", since]) == 2
    assert "between that and now" in capsys.readouterr().err
    assert states(capsys, "mark") == ["active"]


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_without_a_zone_or_sense_is_a_usage_error(
    data: Path, capsys: pytest.CaptureFixture[str], since: str
) -> None:
    with pytest.raises(SystemExit):
        main(["keys", "revoke", "--key", "k", "--since", since])
    assert "argument --since" in capsys.readouterr().err
