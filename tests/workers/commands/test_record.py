"""`countermark record` appends what is said about an entry, and deletes only what it erases."""

from pathlib import Path

import pytest
from sqlalchemy import select

from provenance.database import snapshot, transaction
from provenance.ledger.audit import check_log
from provenance.ledger.log import Draft, append, log_size, read_record
from provenance.ledger.record import Deletion, Erasure, Record, Revocation, ThresholdChange
from provenance.tables import OpeningRow
from tests.provenance.ledger.logs import personal, picture
from workers.command import main
from workers.folder import open_folder

WHY = ["--reason", "asked for"]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of two pictures, the first of which keeps a prompt and a caller."""
    monkeypatch.setenv("COUNTERMARK_DATA", str(tmp_path / "data"))
    assert main(["init"]) == 0
    with open_folder(tmp_path / "data") as folder, transaction(folder.engine) as session:
        append(session, [personal("a"), Draft(picture("b"))])
    return tmp_path / "data"


def last(data: Path) -> Record:
    """The newest entry of a log that is whole and signed for to its end."""
    with open_folder(data) as folder, snapshot(folder.engine) as session:
        check_log(session, folder.keyring.log_verifiers(), folder.anchor)
        return read_record(session, log_size(session) - 1)


def openings(data: Path) -> list[str]:
    with open_folder(data) as folder, snapshot(folder.engine) as session:
        return sorted(session.scalars(select(OpeningRow.field)))


def test_an_entry_is_revoked_by_the_id_of_its_picture(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", "revoke", "--id", "b", *WHY]) == 0
    said = last(data)
    assert isinstance(said, Revocation)
    assert (said.subject.index, said.reason) == (1, "asked for")
    capsys.readouterr()
    assert main(["record", "show", "--id", "b"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith('entry 1: {"at":')
    assert second.startswith("entry 2: ")
    assert '"kind":"revocation"' in second


def test_what_is_erased_is_gone_and_said_to_be(data: Path) -> None:
    assert main(["record", "erase", "--entry", "0", "--field", "prompt", *WHY]) == 0
    said = last(data)
    assert isinstance(said, Erasure)
    assert (said.subject.index, said.fields) == (0, ("prompt",))
    assert openings(data) == ["caller"]


def test_a_deletion_elsewhere_is_said_and_deletes_nothing_here(data: Path) -> None:
    kept = ["--kept", "manifest", "--kept", "file", "--kept", "file"]
    assert main(["record", "deleted", "--id", "a", *kept, *WHY]) == 0
    said = last(data)
    assert isinstance(said, Deletion)
    assert (said.subject.index, said.kept) == (0, ("file", "manifest"))
    assert openings(data) == ["caller", "prompt"]


def test_a_new_threshold_is_said(data: Path) -> None:
    change = ["--detector", "mark", "--version", "mark/1", "--old", "1e-6", "--new", "1e-7"]
    assert main(["record", "threshold", *change, *WHY]) == 0
    said = last(data)
    assert isinstance(said, ThresholdChange)
    assert (said.detector, said.old, said.new) == ("mark", "1e-6", "1e-7")


@pytest.mark.parametrize(
    "asked",
    [
        ["revoke", "--id", "c", *WHY],
        ["revoke", "--entry", "2", *WHY],
        ["revoke", "--entry", "-1", *WHY],
        ["revoke", "--id", "a", "--reason", ""],
        ["erase", "--id", "a", "--field", "address", *WHY],
        ["erase", "--id", "b", "--field", "prompt", *WHY],
        ["threshold", "--detector", "d", "--version", "1", "--old", "much", "--new", "1", *WHY],
        ["show", "--id", "c"],
    ],
)
def test_what_cannot_be_said_is_one_line_and_changes_nothing(
    data: Path, capsys: pytest.CaptureFixture[str], asked: list[str]
) -> None:
    capsys.readouterr()
    assert main(["record", *asked]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with open_folder(data) as folder, snapshot(folder.engine) as session:
        assert log_size(session) == 2
    assert openings(data) == ["caller", "prompt"]
