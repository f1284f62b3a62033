"""A witness over HTTP says what the specification says, and signs one growing log."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from provenance.ledger.checkpoint import Checkpoint, format_checkpoint, open_checkpoint
from provenance.ledger.merkle import Hash, Node, grow, leaf_hash, prove_consistency, tree_root
from provenance.ledger.note import Algorithm, Signer, sign_note
from provenance.ledger.witness import MAX_REQUEST_BYTES, Request, format_request, parse_request
from workers.witness import load_witness, make_witness
from workers.witness_http import WitnessDoor

LOG = Signer("example.com/log", Algorithm.ED25519, b"\x01" * 32)
OTHER = Signer("example.com/other", Algorithm.ED25519, b"\x03" * 32)
THIEF = Signer(LOG.name, Algorithm.ED25519, b"\x04" * 32)
NODES = grow(0, {}, [leaf_hash(bytes([i])) for i in range(20)])
FORKED = grow(0, {}, [leaf_hash(bytes([i ^ 1])) for i in range(20)])
PLACE = f"/{sha256(LOG.name.encode()).hexdigest()}/checkpoint"


@pytest.fixture
def door(tmp_path: Path) -> WitnessDoor:
    (tmp_path / "state").touch()
    make_witness(tmp_path / "key", "w.example")
    return WitnessDoor([LOG.verifier], load_witness(tmp_path / "key"), tmp_path / "state")


@pytest.fixture
def client(door: WitnessDoor) -> TestClient:
    return TestClient(door, raise_server_exceptions=False)


def note(size: int, tree: dict[Node, Hash] = NODES, signer: Signer = LOG) -> bytes:
    root = tree_root(size, lambda _: tree)
    return sign_note(format_checkpoint(Checkpoint(signer.name, size, root)), [signer])


def asked(
    old: int, new: int, tree: dict[Node, Hash] = NODES, *, proof: tuple[Hash, ...] | None = None
) -> bytes:
    right = prove_consistency(old, new, lambda _: tree) if old else ()
    return format_request(Request(old, right if proof is None else proof, note(new, tree)))


def add(client: TestClient, body: bytes) -> tuple[int, str, bytes]:
    answer = client.post("/add-checkpoint", content=body)
    return answer.status_code, answer.headers["content-type"], answer.content


def test_its_answer_makes_a_cosigned_checkpoint(client: TestClient, door: WitnessDoor) -> None:
    body = b""
    for old, new in ((0, 0), (0, 5), (5, 5), (5, 20)):
        status, media, body = add(client, asked(old, new))
        assert (status, media) == (200, "text/plain; charset=utf-8")
        signed = open_checkpoint(
            note(new) + body, [LOG.verifier], witnesses=[door.witness.verifier], quorum=1
        )
        assert signed.checkpoint.size == new
        assert body.count(b"\n") == 1
    shown = client.get(PLACE)
    assert shown.status_code == 200
    assert shown.content == door.state.read_bytes() == note(20) + body


def test_a_request_from_another_size_is_told_the_right_one(client: TestClient) -> None:
    assert add(client, asked(5, 20)) == (409, "text/x.tlog.size", b"0\n")
    add(client, asked(0, 5))
    for wrong in (asked(0, 20), asked(4, 20)):
        assert add(client, wrong) == (409, "text/x.tlog.size", b"5\n")


BAD = {
    "a fork": (422, asked(5, 20, FORKED)),
    "a fork of the same size": (422, asked(5, 5, FORKED)),
    "no proof": (422, asked(5, 20, proof=())),
    "another proof": (422, asked(5, 20, proof=(Hash(b"\x07" * 32),))),
    "an old size that is too large": (400, asked(20, 20).replace(note(20), note(5))),
    "an unknown log": (404, asked(5, 20).replace(note(20), note(20, signer=OTHER))),
    "an unknown key": (403, asked(5, 20).replace(note(20), note(20, signer=THIEF))),
    "a wrong signature": (
        403,
        asked(5, 20).replace(note(20), note(20).replace(b"\n20\n", b"\n19\n")),
    ),
    "no checkpoint": (400, asked(5, 20).replace(note(20), b"")),
    "no size": (400, asked(5, 20).replace(b"old 5", b"old 05")),
    "too many hashes": (400, asked(5, 20, proof=(Hash(b"\x07" * 32),) * 64)),
    "too much": (400, asked(5, 20) + b"x" * MAX_REQUEST_BYTES),
    "nothing": (400, b""),
}


@pytest.mark.parametrize("wrong", BAD)
def test_one_thing_wrong_is_not_signed(client: TestClient, door: WitnessDoor, wrong: str) -> None:
    assert add(client, asked(0, 5))[0] == 200
    before = door.state.read_bytes()
    status, body = BAD[wrong]
    assert add(client, body)[0] == status
    assert door.state.read_bytes() == before
    assert add(client, asked(5, 20))[0] == 200


def test_a_proof_of_what_needs_none_and_an_empty_log_of_something_are_not_signed(
    client: TestClient, door: WitnessDoor
) -> None:
    assert add(client, asked(0, 5, proof=(Hash(b"\x07" * 32),)))[0] == 422
    full = format_checkpoint(Checkpoint(LOG.name, 0, Hash(b"\x07" * 32)))
    assert add(client, format_request(Request(0, (), sign_note(full, [LOG]))))[0] == 422
    assert client.get(PLACE).status_code == 404
    assert door.state.read_bytes() == b""


@pytest.mark.parametrize("lost", ["gone", "another's"])
def test_without_its_own_state_it_signs_nothing(
    client: TestClient, door: WitnessDoor, lost: str
) -> None:
    add(client, asked(0, 5))
    if lost == "gone":
        door.state.unlink()
    else:
        door.state.write_bytes(note(5))
    assert add(client, asked(5, 20))[0] == 500
    assert add(client, asked(0, 20))[0] == 500


def test_there_is_nothing_else(client: TestClient) -> None:
    assert parse_request(asked(0, 5)).old_size == 0
    for method, path in (("GET", "/add-checkpoint"), ("POST", "/sign-subtree"), ("GET", "/")):
        assert client.request(method, path).status_code == 404
