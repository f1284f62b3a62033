"""The log asks its witnesses over HTTP, and keeps nothing but signatures that hold."""

from __future__ import annotations

import logging
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree
from uuid import uuid4

import pytest

from provenance.blobs import Blobs
from provenance.database import snapshot, transaction
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.checkpoint import open_checkpoint
from provenance.ledger.errors import LedgerError, NotLogged, NotProven
from provenance.ledger.log import Draft, append, latest_checkpoint
from provenance.ledger.note import format_vkey
from provenance.ledger.witness import Request, format_request
from provenance.outbound import Unanswered
from provenance.settings import BadSetting, read_settings
from tests.api.serving import serving
from tests.provenance.ledger.logs import picture
from workers import cosigning
from workers.cosigning import ANSWER_BYTES, Unwitnessed, Witness, ask, ask_again, parse_witnesses
from workers.folder import DataFolder, make, open_folder
from workers.station import Station, be_witnessed
from workers.witness import load_witness, make_witness
from workers.witness_http import WitnessDoor

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    """One log that grows from test to test; each test has a witness of its own."""
    place = tmp_path_factory.mktemp("log") / "data"
    make(place, origin="example.com/log", now=NOW)
    with open_folder(place) as opened:
        yield opened


@pytest.fixture
def door(folder: DataFolder, tmp_path: Path) -> WitnessDoor:
    (tmp_path / "state").touch()
    make_witness(tmp_path / "key", "w.example")
    log = folder.keyring.log_verifiers()
    return WitnessDoor(log, load_witness(tmp_path / "key"), tmp_path / "state")


@pytest.fixture
def witness(door: WitnessDoor) -> Iterator[Witness]:
    with serving(door) as url:
        yield Witness(url, door.witness.verifier)


def grow(folder: DataFolder, count: int = 1) -> int:
    """The size of the log, once it has so many more entries and a checkpoint over them."""
    with transaction(folder.engine) as session:
        entries = append(session, [Draft(picture(str(uuid4()))) for _ in range(count)])
    sign_checkpoint(folder.engine, folder.keyring.log_signers(), folder.anchor)
    return entries[-1].index + 1


def witnessed(folder: DataFolder, witness: Witness) -> tuple[int, int]:
    """The size of the newest checkpoint, and how many signatures stand under it."""
    with snapshot(folder.engine) as session:
        note = latest_checkpoint(session)
    assert note is not None
    opened = open_checkpoint(
        note, folder.keyring.log_verifiers(), witnesses=[witness.key], quorum=1
    )
    return opened.checkpoint.size, note.count(b"\n\xe2\x80\x94 ")


def test_a_growing_log_is_signed_each_time_and_once(folder: DataFolder, witness: Witness) -> None:
    log = folder.keyring.log_verifiers()
    grow(folder)
    for more in range(1, 4):
        size = grow(folder)
        assert ask(folder.engine, log, witness)
        assert witnessed(folder, witness) == (size, 2)
        assert not ask(folder.engine, log, witness), more


def test_a_log_that_is_an_older_copy_is_not_signed(
    folder: DataFolder, witness: Witness, tmp_path: Path
) -> None:
    log = folder.keyring.log_verifiers()
    grow(folder)
    copy = tmp_path / "copy"
    copytree(folder.path, copy)
    grow(folder)
    ask(folder.engine, log, witness)
    with open_folder(copy) as older, pytest.raises(NotLogged):
        ask(older.engine, log, witness)


def test_a_log_that_forked_is_not_signed(
    folder: DataFolder, witness: Witness, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = folder.keyring.log_verifiers()
    grow(folder)
    copy = tmp_path / "copy"
    copytree(folder.path, copy)
    grow(folder)
    ask(folder.engine, log, witness)
    with open_folder(copy) as forked:
        grow(forked, 2)
        with pytest.raises(Unwitnessed, match="answers 422"):
            ask(forked.engine, log, witness)
    assert "not signed" in caplog.text


@contextmanager
def saying(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that lets this answer every request, in whatever way."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1 << 20)
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def http(status: int, body: bytes, *headers: str) -> Callable[[socket.socket], None]:
    head = "\r\n".join((f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers))
    return lambda connection: connection.sendall(head.encode() + b"\r\n\r\n" + body)


def drip(connection: socket.socket) -> None:
    """One byte of an endless header now and then."""
    try:
        connection.sendall(b"HTTP/1.1 200 X\r\nA: ")
        while True:
            connection.sendall(b"a")
            time.sleep(0.05)
    except OSError:
        return


LINE = b"\xe2\x80\x94 w.example AAAAAAAA\n"
HOSTILE = {
    "no signature": http(200, b""),
    "rubbish": http(200, b"\xff" * 100),
    "another's line": http(200, LINE),
    "too much": http(200, b"x" * (ANSWER_BYTES + 1)),
    "a redirect": http(307, b"", "Location: http://127.0.0.1:1/"),
    "a larger size": http(409, b"999\n", "Content-Type: text/x.tlog.size"),
    "no size": http(409, b"-1\n", "Content-Type: text/x.tlog.size"),
    "the same size for ever": http(409, b"1\n", "Content-Type: text/x.tlog.size"),
    "an error": http(503, b"\x1b[2Jlater"),
    "no HTTP": lambda connection: connection.sendall(b"SSH-2.0\r\n"),
    "nothing": lambda connection: None,
    "drops": drip,
}


@pytest.mark.parametrize("how", HOSTILE)
def test_whatever_a_witness_answers_nothing_changes_and_the_log_goes_on(
    folder: DataFolder,
    door: WitnessDoor,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(cosigning, "SECONDS", 0.5)
    grow(folder)
    with snapshot(folder.engine) as session:
        before = latest_checkpoint(session)
    began = time.monotonic()
    with saying(HOSTILE[how]) as url, caplog.at_level(logging.WARNING):
        ask_again(folder, Witness(url, door.witness.verifier))
    assert time.monotonic() - began < 5
    assert "not witnessed by w.example" in caplog.text
    with snapshot(folder.engine) as session:
        assert latest_checkpoint(session) == before


def test_a_signature_of_another_witness_is_not_kept(folder: DataFolder, door: WitnessDoor) -> None:
    """Even beside one that holds."""
    log = folder.keyring.log_verifiers()
    grow(folder)
    with serving(door) as url:
        with snapshot(folder.engine) as session:
            note = latest_checkpoint(session)
        assert note is not None
        request = format_request(Request(0, (), note))
        signed = cosigning.post(f"{url}/add-checkpoint", request).body
    stranger = b"\xe2\x80\x94 stranger.example AAAAAAAA\n"
    with saying(http(200, stranger + signed)) as url:
        assert ask(folder.engine, log, Witness(url, door.witness.verifier))
    with snapshot(folder.engine) as session:
        kept = latest_checkpoint(session)
    assert kept == note + signed


def test_a_witness_that_is_gone_is_an_error_of_its_own(
    folder: DataFolder, door: WitnessDoor
) -> None:
    grow(folder)
    log = folder.keyring.log_verifiers()
    ask_again(folder, Witness("http://127.0.0.1:1", door.witness.verifier))
    with pytest.raises(Unanswered, match="refused"):
        ask(folder.engine, log, Witness("http://127.0.0.1:1", door.witness.verifier))


def test_a_wrong_signature_is_not_kept(folder: DataFolder, door: WitnessDoor) -> None:
    grow(folder)
    key = door.witness.verifier
    log = folder.keyring.log_verifiers()
    wrong = b"\xe2\x80\x94 w.example " + b64encode(key.key_id + bytes(72)) + b"\n"
    with saying(http(200, wrong)) as url, pytest.raises((NotProven, LedgerError)):
        ask(folder.engine, log, Witness(url, key))


def test_a_keeper_has_every_checkpoint_witnessed(
    folder: DataFolder, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though another witness is gone."""
    monkeypatch.setattr(cosigning, "EVERY", 0.05)
    key = format_vkey(witness.key)
    named = f"{key} http://127.0.0.1:1 {key} {witness.url}"
    settings = read_settings({"COUNTERMARK_WITNESSES": named}, folder.path)
    station = Station(settings, folder, Blobs(folder.path / "blobs"), threading.Event())
    be_witnessed(station)
    try:
        for _ in range(2):
            size, deadline = grow(folder), time.monotonic() + 60
            while True:
                try:
                    assert witnessed(folder, witness) == (size, 2)
                    break
                except NotProven:
                    assert time.monotonic() < deadline, "nobody asked"
                    time.sleep(0.05)
    finally:
        station.stop.set()


def test_witnesses_are_named_by_key_and_address(door: WitnessDoor) -> None:
    key = format_vkey(door.witness.verifier)
    (one, two) = parse_witnesses(f"{key} https://w.example/\n {key} http://127.0.0.1:8001/a/b")
    assert (one.url, two.url) == ("https://w.example", "http://127.0.0.1:8001/a/b")
    assert one.key == door.witness.verifier
    assert parse_witnesses("") == ()


@pytest.mark.parametrize(
    "url", ["ftp://w.example", "https://", "w.example", "https://u:p@w.example", "http://a/?q"]
)
def test_an_address_that_is_none_is_refused(door: WitnessDoor, url: str) -> None:
    key = format_vkey(door.witness.verifier)
    with pytest.raises(BadSetting, match="COUNTERMARK_WITNESSES"):
        parse_witnesses(f"{key} {url}")
    for wrong in (key, f"{key[:-2]} https://w.example"):
        with pytest.raises(BadSetting, match="COUNTERMARK_WITNESSES"):
            parse_witnesses(wrong)
