"""A manifest is found where the containers put it, and goes in where readers look for it."""

from __future__ import annotations

import pytest

from provenance.manifest.container import (
    MAX_STORE,
    Kind,
    embed,
    frame,
    jpeg_segment,
    png_chunk,
    scan,
    slot,
    sniff,
)
from provenance.manifest.errors import AlreadySigned, Malformed, NotEmbeddable, TooLarge
from provenance.manifest.jumbf import STORE, format_box, format_superbox
from tests.provenance.manifest.files import KINDS, decoded, picture


def store_of(size: int) -> bytes:
    empty = len(format_superbox(STORE, "c2pa")) + 8
    return format_superbox(STORE, "c2pa", format_box(b"free", bytes(size - empty)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [100, 101, 65_524, 65_525, 65_526, 131_034, 200_001, MAX_STORE])
def test_embedded_store_is_found_whole_where_it_was_put(kind: Kind, size: int) -> None:
    plain, store = picture(kind), store_of(size)
    file = embed(plain, store)
    found = scan(file)
    assert (found.kind, found.store) == (kind, store)
    assert (found.start, found.length) == (slot(plain), len(frame(kind, store)))
    assert decoded(file) == decoded(plain)


@pytest.mark.parametrize("kind", KINDS)
def test_file_with_a_store_gets_no_second_one(kind: Kind) -> None:
    with pytest.raises(AlreadySigned):
        embed(embed(picture(kind), store_of(100)), store_of(100))


@pytest.mark.parametrize("kind", KINDS)
def test_store_over_the_limit_is_refused(kind: Kind) -> None:
    with pytest.raises(TooLarge, match=str(MAX_STORE)):
        scan(embed(picture(kind), store_of(MAX_STORE + 1)))


def test_jpeg_store_stands_behind_the_header_that_must_come_first() -> None:
    file = embed(picture(Kind.JPEG), store_of(100))
    assert file[2:4] == b"\xff\xe0"
    assert file[slot(picture(Kind.JPEG)) :].startswith(b"\xff\xeb")


def test_jpeg_segments_out_of_order_are_refused() -> None:
    plain, framed = picture(Kind.JPEG), frame(Kind.JPEG, store_of(150_000))
    lengths = [65_537, 65_537]
    first, second = framed[: lengths[0]], framed[lengths[0] : sum(lengths)]
    rest = framed[sum(lengths) :]
    at = slot(plain)
    assert scan(plain[:at] + first + second + rest + plain[at:]).store
    for wrong in (second + first + rest, first + rest, first + rest + second, first * 2 + rest):
        with pytest.raises(Malformed):
            scan(plain[:at] + wrong + plain[at:])


def test_jpeg_segments_with_others_between_are_refused() -> None:
    plain, framed = picture(Kind.JPEG), frame(Kind.JPEG, store_of(100_000))
    first, second, at = framed[:65_537], framed[65_537:], slot(plain)
    with pytest.raises(Malformed, match="out of order"):
        scan(plain[:at] + first + jpeg_segment(0xFE, b"comment") + second + plain[at:])


def test_jpeg_segments_of_two_boxes_are_not_put_together() -> None:
    plain, at = picture(Kind.JPEG), slot(picture(Kind.JPEG))
    framed = bytearray(frame(Kind.JPEG, store_of(100_000)))
    assert scan(plain[:at] + framed + plain[at:]).store
    for place in (65_537 + 6, 65_537 + 15):  # the second segment's box number, and its length
        bent = bytearray(framed)
        bent[place] ^= 1
        with pytest.raises(Malformed, match="out of order"):
            scan(plain[:at] + bent + plain[at:])


def test_jpeg_boxes_of_other_kinds_are_passed_over() -> None:
    plain = picture(Kind.JPEG)
    other = frame(Kind.JPEG, format_superbox(b"json" + STORE[4:], "something"))
    file = embed(plain[:2] + other + plain[2:], store_of(100))
    assert scan(plain[:2] + other + plain[2:]).store is None
    assert scan(file).store == store_of(100)


def test_png_checksum_of_the_store_counts() -> None:
    file = bytearray(embed(picture(Kind.PNG), store_of(100)))
    assert scan(bytes(file)).store
    file[33 + 8 + 100] ^= 1
    with pytest.raises(Malformed, match="checksum"):
        scan(bytes(file))


@pytest.mark.parametrize("kind", KINDS)
def test_file_cut_anywhere_is_refused_or_has_nothing_to_say(kind: Kind) -> None:
    whole = embed(picture(kind, side=8), store_of(100))
    for end in range(len(whole)):
        try:
            assert scan(whole[:end]).store in (None, store_of(100))
        except Malformed:
            continue
        assert kind is Kind.JPEG, "only a JPEG's pixels are not looked at"


def test_webp_of_another_length_than_it_says_is_refused() -> None:
    whole = picture(Kind.WEBP)
    assert slot(whole) == len(whole)
    for wrong in (whole + b"\0", whole[:-1]):
        with pytest.raises(NotEmbeddable, match="length"):
            slot(wrong)


def test_too_many_parts_are_refused() -> None:
    whole = picture(Kind.PNG)
    many = png_chunk(b"tEXt", b"") * 70_000
    with pytest.raises(Malformed, match="too many"):
        scan(whole[:33] + many + whole[33:])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (picture(Kind.PNG), Kind.PNG),
        (picture(Kind.JPEG), Kind.JPEG),
        (picture(Kind.WEBP), Kind.WEBP),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"", None),
    ],
)
def test_kind_is_told_by_the_first_bytes(data: bytes, kind: Kind | None) -> None:
    assert sniff(data) is kind
