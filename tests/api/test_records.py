"""The audit routes: records, evidence, revocation, checkpoints, tiles, consistency."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest

from provenance.ledger.checkpoint import open_checkpoint
from provenance.ledger.evidence import open_pack
from provenance.ledger.merkle import Hash, check_consistency
from provenance.ledger.note import parse_vkey
from provenance.ledger.proof import open_proof
from provenance.ledger.record import Revocation
from provenance.ledger.tiles import bundle_path, check_tiles, tile_path, tiles_of
from tests.api.installations import Installed


@pytest.fixture(scope="module")
def entry(here: Installed) -> int:
    """The entry of a picture; the log has 300 more, so that there is a full tile."""
    header = here.key() | {"Prefer": "wait=30"}
    wish = {"prompt": "a plum", "count": 8}
    entries = []
    for _ in range(3):
        made = here.client.post("/v1/generations", json=wish, headers=header).json()
        entries += [one["entry"] for one in made["images"]]
    here.append_unsigned(280)
    here.worker.sign()
    return int(entries[0])


def test_a_record_tells_what_the_log_holds(here: Installed, entry: int) -> None:
    found = here.client.get(f"/v1/records/{entry}", headers=here.key()).json()
    assert (found["index"], found["kind"], found["statements"]) == (entry, "picture", [])
    assert found["record"]["mark"] == {"key": "local.1.00000000", "scheme": "lexical/1"}
    proof = here.client.get(f"/v1/records/{entry}/proof", headers=here.key()).content
    assert open_proof(proof, here.log).leaf.hex() == found["leaf"]
    assert here.client.get("/v1/records/999999", headers=here.key()).status_code == 404


def test_records_are_found_by_their_facts(here: Installed, entry: int) -> None:
    key = here.key()
    record = here.client.get(f"/v1/records/{entry}", headers=key).json()["record"]
    for name in ("file", "pixels", "manifest"):
        page = here.client.get(f"/v1/records?{name}={record[name]}", headers=key).json()
        assert [one["index"] for one in page["data"]] == [entry]
    both = f"/v1/records?file={record['file']}&pixels={'0' * 64}"
    assert here.client.get(both, headers=key).json() == {"data": [], "next": None}


def test_a_list_of_records_shows_each_once(here: Installed, entry: int) -> None:
    key, seen, cursor = here.key(), [], ""
    while cursor is not None:
        address = "/v1/records?limit=100" + (f"&cursor={cursor}" if cursor else "")
        page = here.client.get(address, headers=key).json()
        seen += [one["index"] for one in page["data"]]
        cursor = page["next"]
    assert seen == list(range(max(seen), -1, -1))


def test_a_cursor_fits_its_own_filter_alone(here: Installed, entry: int) -> None:
    key = here.key()
    cursor = here.client.get("/v1/records?limit=1", headers=key).json()["next"]
    for address in (
        f"/v1/records?limit=1&kind=picture&cursor={cursor}",
        f"/v1/records?limit=1&cursor={cursor[:-1]}",
        f"/v1/records?limit=1&cursor=A{cursor[1:]}",
        "/v1/records?cursor=x",
    ):
        answer = here.client.get(address, headers=key)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (404, "cursor")


def test_evidence_is_checked_offline(here: Installed, entry: int) -> None:
    one = here.client.get(f"/v1/records/{entry}/evidence", headers=here.key())
    assert one.headers["content-type"] == "application/zip"
    found = open_pack(one.content, here.log)
    assert set(found.pack.exhibits[0].attached) == {"picture", "manifest.c2pa"}
    many = here.client.get(f"/v1/evidence?first={entry}&count=4", headers=here.key())
    assert len(open_pack(many.content, here.log).entries) == 4
    wide = here.client.get("/v1/evidence?first=0&count=1001", headers=here.key())
    assert (wide.status_code, wide.json()["errors"][0]["limit"]) == (422, "le 1000")


def test_a_record_is_revoked_once_and_for_ever(here: Installed, entry: int) -> None:
    key, address = here.key(), f"/v1/records/{entry + 1}/revocation"
    made = here.client.post(address, json={"reason": "drawn by mistake"}, headers=key)
    assert made.status_code == 201
    revocation = made.json()
    assert (revocation["kind"], revocation["record"]["subject"]["index"]) == (
        "revocation",
        entry + 1,
    )
    here.worker.sign()
    proof = here.client.get(f"/v1/records/{revocation['index']}/proof", headers=key).content
    assert isinstance(open_proof(proof, here.log).record, Revocation)
    told = here.client.get(f"/v1/records/{entry + 1}", headers=key).json()
    assert told["statements"] == [revocation["index"]]
    again = here.client.post(address, json={"reason": "twice"}, headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "already-done")


@pytest.mark.parametrize("reason", ["", "x" * 513, "two\nlines", "\u0085"])
def test_a_reason_that_no_record_can_hold_is_refused(
    here: Installed, entry: int, reason: str
) -> None:
    address = f"/v1/records/{entry + 2}/revocation"
    answer = here.client.post(address, json={"reason": reason}, headers=here.key())
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reason")


def test_the_checkpoint_is_signed_by_the_keys_that_are_told(here: Installed, entry: int) -> None:
    told = here.client.get("/v1/log/keys").json()
    keys = [parse_vkey(one) for one in told["keys"]]
    note = here.client.get("/v1/log/checkpoint").content
    assert open_checkpoint(note, keys).checkpoint.origin == told["origin"] == "example.com/log"
    assert here.client.get("/v1/log/witnesses").json()["cosignatures"] == []


def test_consistency_is_proven(here: Installed, entry: int) -> None:
    note = here.client.get("/v1/log/checkpoint").content
    old = open_checkpoint(note, here.log).checkpoint
    here.append_unsigned(3)
    here.worker.sign()
    new = open_checkpoint(here.client.get("/v1/log/checkpoint").content, here.log).checkpoint
    told = here.client.get(f"/v1/log/consistency?old={old.size}&new={new.size}").json()
    check_consistency(
        [Hash(b64decode(one)) for one in told["hashes"]],
        old_size=old.size,
        new_size=new.size,
        old_root=old.root,
        new_root=new.root,
    )
    backwards = here.client.get(f"/v1/log/consistency?old={new.size}&new={old.size}")
    assert backwards.status_code == 404


def test_the_tiles_make_the_signed_root(here: Installed, entry: int, tmp_path: Path) -> None:
    key, note = here.key(), here.client.get("/v1/log/checkpoint").content
    (tmp_path / "checkpoint").write_bytes(note)
    for tile in tiles_of(open_checkpoint(note, here.log).checkpoint.size):
        paths = [tile_path(tile)] + ([bundle_path(tile)] if tile.level == 0 else [])
        for path in paths:
            answer = here.client.get(f"/v1/log/{path}", headers=key)
            assert answer.status_code == 200, path
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(answer.content)
    check_tiles(tmp_path, here.log)


@pytest.mark.parametrize(
    "path",
    ["0/999", "0/000.p/256", "0/000.p/0", "0/x000/000", "0/0", "0/000/", "9/000", "entries/999"],
)
def test_a_tile_that_is_not_there_is_not_found(here: Installed, entry: int, path: str) -> None:
    answer = here.client.get(f"/v1/log/tile/{path}", headers=here.key())
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
