"""One set of files makes one archive, which every tool opens and only one reading accepts."""

import io
import random
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.ledger import archive
from provenance.ledger.archive import format_archive, parse_archive
from provenance.ledger.errors import Malformed
from tests.provenance.ledger.mutations import mutations

FILES = {"b.txt": b"two\n", "a/1.bin": bytes(range(256)), "a/empty": b""}
GOOD = format_archive(FILES)
NAMES = st.from_regex(r"[A-Za-z0-9]{1,8}(/[a-z0-9._-]{0,0}[a-z0-9]{1,5})?", fullmatch=True)


def test_any_tool_opens_it() -> None:
    with zipfile.ZipFile(io.BytesIO(GOOD)) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == sorted(FILES)
        assert {name: opened.read(name) for name in opened.namelist()} == FILES
        assert {info.date_time for info in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in opened.infolist()} == {0o100644}


def test_the_order_of_the_files_changes_nothing() -> None:
    names = list(FILES)
    for seed in range(6):
        random.Random(seed).shuffle(names)
        assert format_archive({name: FILES[name] for name in names}) == GOOD


@given(st.dictionaries(NAMES, st.binary(max_size=40), max_size=6))
def test_every_set_of_files_is_read_back(files: dict[str, bytes]) -> None:
    assert parse_archive(format_archive(files)) == files


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a\\b", "a b", "ä", "C:a", "a" * 201]
)
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(Malformed, match="with the name"):
        format_archive({name: b""})


def test_what_zipfile_writes_is_not_canonical() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("bomb", b"\x00" * 2**20)
    with pytest.raises(Malformed, match="canonical"):
        parse_archive(out.getvalue())


@pytest.mark.parametrize("bad", [b"x" + GOOD, GOOD + b"x", GOOD + GOOD, GOOD[:-1], GOOD[:20], b""])
def test_nothing_before_after_or_missing(bad: bytes) -> None:
    assert parse_archive(GOOD) == FILES
    with pytest.raises(Malformed):
        parse_archive(bad)


def test_every_flipped_bit_is_refused() -> None:
    good = format_archive({"a": b"xy", "b/c": b"z"})
    for place in range(len(good)):
        for bit in range(8):
            bad = good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :]
            with pytest.raises(Malformed):
                parse_archive(bad)


def test_hostile_bytes_are_malformed_and_nothing_else() -> None:
    for bad in mutations(GOOD):
        with pytest.raises(Malformed):
            parse_archive(bad)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    for act in (lambda: format_archive(FILES), lambda: parse_archive(GOOD)):
        with pytest.raises(Malformed, match="has 3 files, at most 2"):
            act()
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", len(GOOD) - 1)
    for act in (lambda: format_archive(FILES), lambda: parse_archive(GOOD)):
        with pytest.raises(Malformed, match="longer than"):
            act()
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", len(GOOD))
    assert parse_archive(GOOD) == FILES
