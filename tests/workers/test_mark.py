"""A finished picture is marked so that verify finds it, or refused."""

from pathlib import Path

import pytest

from generators.sampling import Request
from provenance.formats import Encoding, Format
from provenance.image import read_image
from provenance.manifest.container import sniff
from provenance.robustness.quality import psnr
from provenance.watermark.detect import Outcome
from provenance.watermark.embeddability import CannotCarry
from provenance.watermark.errors import CodecMismatch, UnusableKey
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.payload import NO_NUMBER
from provenance.watermark.posthoc import LIMIT, TooSmall
from provenance.watermark.search import FULL, QUICK
from tests.workers.toys import generator, key
from tests.workers.uploads import flat, jpeg, photograph, toy
from workers.generate import How, WeakMark, generate, unerased
from workers.mark import MarkedUpload, Sought, check_found, mark
from workers.marking import UPLOADS, Kind, Marker
from workers.verify import verify

NUMBER = 0xC0FFEE_4242


def marked(
    data: bytes, marker: Marker, own: Key | None = None, number: int = NO_NUMBER
) -> MarkedUpload:
    own = own or key()
    return mark(
        data,
        name="it",
        marker=marker,
        sought=Sought(marker, [own]),
        key=own,
        number=number,
        distance=None,
    )


@pytest.mark.parametrize(("height", "width", "kind"), [(128, 128, "PNG"), (203, 150, "JPEG")])
def test_a_marked_upload_is_verified_with_its_key_and_no_other(
    tmp_path: Path, height: int, width: int, kind: str
) -> None:
    _, marker = toy(tmp_path)
    data = photograph(height, width, kind=kind)
    made = marked(data, marker)
    found = verify(made.file, name="it", marks=marker, keys=[key()], plan=FULL).mark
    assert found.outcome is Outcome.DETECTED
    assert found.match is not None
    assert (found.match.scheme, found.match.key_id) == (UPLOADS, key().key_id)
    assert (found.match.list_index, found) == (made.list_index, made.verified.mark)
    other = verify(made.file, name="it", marks=marker, keys=[key(b"o" * 32)], plan=FULL).mark
    assert other.outcome is Outcome.NOT_DETECTED
    before, after = read_image(data, name="it"), read_image(made.file, name="it")
    assert LIMIT <= psnr(before, after) == made.marked.psnr < 100
    assert made.perceptual is None


def test_the_same_file_is_marked_the_same_way_and_others_in_other_lists(tmp_path: Path) -> None:
    _, marker = toy(tmp_path)
    first = marked(photograph(), marker)
    assert first.file == marked(photograph(), marker).file
    lists = {marked(photograph(seed=seed), marker).list_index for seed in range(6)}
    assert len(lists) > 1


def test_a_number_is_read_back_from_the_file_and_from_a_copy_in_jpeg(tmp_path: Path) -> None:
    _, marker = toy(tmp_path)
    made = marked(photograph(), marker, number=NUMBER)
    assert made.number == NUMBER
    for data in (made.file, jpeg(made.file)):
        found = verify(data, name="it", marks=marker, keys=[key()], plan=FULL).mark
        assert found.match is not None
        assert found.match.number == NUMBER
    assert made.file == marked(photograph(), marker, number=NUMBER).file
    assert made.file != marked(photograph(), marker, number=NUMBER - 1).file


def test_a_small_picture_has_no_room_for_a_number_and_is_marked_as_if_none_was_asked(
    tmp_path: Path,
) -> None:
    _, marker = toy(tmp_path)
    small = photograph(72, 72)
    made = marked(small, marker, number=NUMBER)
    assert made.number is None
    assert made.file == marked(small, marker).file


def test_a_picture_that_carries_another_number_is_refused(tmp_path: Path) -> None:
    _, marker = toy(tmp_path)
    made = marked(photograph(), marker, number=NUMBER)
    check_found(made.verified, UPLOADS, key(), NUMBER)
    for number in (None, NUMBER - 1):
        with pytest.raises(WeakMark, match=f"of key {key().key_id}, number {NUMBER}, that reads"):
            check_found(made.verified, UPLOADS, key(), number)


def test_a_distance_is_told_between_the_original_and_what_is_marked(tmp_path: Path) -> None:
    _, marker = toy(tmp_path)
    one = key()
    made = mark(
        photograph(),
        name="it",
        marker=marker,
        sought=Sought(marker, [one]),
        key=one,
        number=1,
        distance=psnr,
    )
    assert made.perceptual == made.marked.psnr


def test_what_cannot_carry_a_mark_is_refused(tmp_path: Path) -> None:
    _, marker = toy(tmp_path)
    with pytest.raises(CannotCarry, match="too flat"):
        marked(flat(), marker)
    with pytest.raises(TooSmall, match="9 x 64 px"):
        marked(photograph(64, 9), marker)


def test_a_picture_too_small_for_the_search_of_verify_is_refused(tmp_path: Path) -> None:
    _, marker = toy(tmp_path)
    small = photograph(40, 40)  # 25 tokens: 2^-25 is below 1e-6, times 384 trials it is not
    with pytest.raises(CannotCarry, match=r"no mark reaches p 2\.6e-09"):
        marked(small, marker)


def test_a_mark_that_verify_does_not_find_is_not_given_out(tmp_path: Path) -> None:
    _, marker = toy(tmp_path)
    with pytest.raises(WeakMark, match="it: verifying the marked file does not find the mark"):
        mark(
            photograph(),
            name="it",
            marker=marker,
            sought=Sought(marker, [key(b"o" * 32)]),
            key=key(),
            number=NO_NUMBER,
            distance=None,
        )


def test_the_mark_of_a_drawing_is_not_taken_for_that_of_an_upload(tmp_path: Path) -> None:
    artist, marker = generator(tmp_path)
    drawing = generate(artist, marker, [Request("grey", 3)], How(Kind.LEXICAL, key(), unerased))[0]
    verified = verify(drawing.file, name="it", marks=marker, keys=[key()], plan=QUICK)
    with pytest.raises(WeakMark, match="another mark of ours already, lexical/1"):
        check_found(verified, UPLOADS, key())
    check_found(verified, "lexical/1", key())
    with pytest.raises(WeakMark, match="another mark"):
        check_found(verified, "lexical/1", key(b"o" * 32))


def test_only_an_active_key_and_a_codec_that_can_mark_uploads(tmp_path: Path) -> None:
    _, marker = toy(tmp_path)
    with pytest.raises(UnusableKey, match="retired"):
        marked(photograph(), marker, key(state=KeyState.RETIRED))
    _, plain = generator(tmp_path)
    with pytest.raises(CodecMismatch, match="codec of toy cannot mark"):
        marked(photograph(), plain)


@pytest.mark.parametrize("written", [Encoding(Format.JPEG, 90), Encoding(Format.WEBP)])
def test_the_mark_and_number_are_in_the_file_as_it_is_encoded(
    tmp_path: Path, written: Encoding
) -> None:
    _, marker = toy(tmp_path)
    made = encoded(photograph(), marker, written)
    assert sniff(made.file) == written.media
    assert made.file == written.encode(made.marked.pixels)
    found = verify(made.file, name="it", marks=marker, keys=[key()], plan=FULL).mark
    assert found.match is not None
    assert (found, found.match.number) == (made.verified.mark, NUMBER)


def test_a_number_that_the_file_would_not_show_is_left_out_and_a_mark_refused(
    tmp_path: Path,
) -> None:
    _, marker = toy(tmp_path)
    found = {}
    for quality in (90, 55, 1):
        try:
            made = encoded(photograph(), marker, Encoding(Format.JPEG, quality))
            found[quality] = made.number
        except WeakMark:
            found[quality] = -1
    assert found == {90: NUMBER, 55: None, 1: -1}


def encoded(data: bytes, marker: Marker, written: Encoding) -> MarkedUpload:
    """The picture marked with a number, in a file of another format."""
    return mark(
        data,
        name="it",
        marker=marker,
        sought=Sought(marker, [key()]),
        key=key(),
        number=NUMBER,
        distance=None,
        encoding=written,
    )
