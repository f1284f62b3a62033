"""`countermark tenants` and the API keys of `countermark keys`: shown once, ended by command."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from provenance import callers
from provenance.callers import Caller, NotACaller, Scope
from provenance.database import snapshot
from provenance.keys import Purpose
from workers.command import main
from workers.folder import open_folder


@pytest.fixture
def data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """An installation's data folder, made by `init`."""
    monkeypatch.setenv("COUNTERMARK_DATA", str(tmp_path / "data"))
    assert main(["init"]) == 0
    return tmp_path / "data"


def who(data: Path, token: str) -> Caller:
    with open_folder(data) as folder, snapshot(folder.engine) as session:
        keys = folder.keyring.checking(Purpose.TOKEN)
        return callers.authenticate(session, token, keys, now=datetime.now(UTC))


def created(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    capsys.readouterr()
    assert main(["keys", "create", *options]) == 0
    return capsys.readouterr().out.strip()


def test_init_shows_a_key_of_every_scope(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    token = capsys.readouterr().err.split("shown this once: ")[1].split()[0]
    assert who(data, token).scopes == set(Scope)


def test_init_keep_leaves_what_is_there(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (data / "keys.json").read_bytes()
    capsys.readouterr()
    assert main(["init", "--keep"]) == 0
    assert "cm_" not in capsys.readouterr().err
    assert (data / "keys.json").read_bytes() == before
    assert main(["init"]) == 2


def test_a_key_of_a_tenant_has_its_scopes_until_it_is_withdrawn(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tenants", "add", "acme", "--pictures", "5"]) == 0
    token = created(capsys, "--tenant", "acme", "--scope", "verify", "--scope", "generate")
    found = who(data, token)
    assert (found.tenant.name, found.tenant.quotas[callers.Quota.PICTURES]) == ("acme", 5)
    assert found.scopes == {Scope.VERIFY, Scope.GENERATE}
    assert main(["keys", "withdraw", found.id]) == 0
    with pytest.raises(NotACaller, match="revoked"):
        who(data, token)


def test_a_new_tenant_has_a_mark_key_of_its_own_under_an_id(data: Path) -> None:
    assert main(["tenants", "add", "acme"]) == 0
    with open_folder(data) as folder:
        owners = {key.tenant for key in folder.keyring.marks().keys}
    assert len(owners) == 2
    assert not any("acme" in owner for owner in owners)


def test_a_suspended_tenant_s_keys_are_not_accepted(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["tenants", "add", "acme"])
    token = created(capsys, "--tenant", "acme", "--scope", "verify")
    assert main(["tenants", "suspend", "acme"]) == 0
    with pytest.raises(NotACaller, match="suspended"):
        who(data, token)
    assert main(["tenants", "list"]) == 0
    shown = capsys.readouterr().out
    assert "suspended" in shown
    assert token not in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "create", "--scope", "verify", "--tenant", "nobody"],
        ["keys", "withdraw", "nothing"],
        ["tenants", "add", "local"],
        ["tenants", "add", "Not A Name"],
        ["tenants", "suspend", "nobody"],
    ],
)
def test_what_cannot_be_is_one_line_and_status_2(
    data: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    capsys.readouterr()
    assert main(arguments) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
