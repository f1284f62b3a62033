"""What read_image shows, what it refuses, and that a damaged file can do nothing else."""

import pickle
import resource
import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from provenance.errors import Unreadable
from provenance.image import (
    MAX_BYTES,
    MAX_PIXELS,
    encode_jpeg,
    encode_png,
    read_file,
    read_image,
)
from tests.provenance.pictures import (
    DISPLAY_P3,
    FORMATS,
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGB_ALPHA,
    B,
    G,
    R,
    animated,
    colours,
    gamma,
    giant,
    png,
    profile,
    rgb_profile,
    saved,
    shorts,
)

P3_TO_SRGB = ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979))


def seen(data: bytes) -> npt.NDArray[np.int64]:
    """What is read, as (H, W, 3) of 0 to 255."""
    pixels = read_image(data, name="picture")
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    return np.rint(pixels * 255).astype(np.int64).transpose(1, 2, 0)


def to_srgb(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """IEC 61966-2-1, linear light to 0 to 255."""
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


TWO, FOUR = bytes([0b00011011]), bytes([0x1F])
SHADES = shorts(0, 1000, 30000, 65535)
COLOURS = shorts(0, 256, 512, 40000, 50000, 60000)


@pytest.mark.parametrize(
    ("data", "row"),
    [
        (png(b"\x50", width=4, depth=1, colour=GREY), [0, 255, 0, 255]),
        (png(TWO, width=4, depth=2, colour=GREY), [0, 85, 170, 255]),
        (png(FOUR, width=2, depth=4, colour=GREY), [17, 255]),
        (png(b"\x07\xf0", width=2, depth=8, colour=GREY), [7, 240]),
        (png(SHADES, width=4, depth=16, colour=GREY), [0, 4, 117, 255]),
        (png(b"\xf0", width=8, depth=1, colour=GREY, tRNS=shorts(0)), [255] * 8),
        (png(TWO, width=4, depth=2, colour=GREY, tRNS=shorts(1)), [0, 255, 170, 255]),
        (png(FOUR, width=2, depth=4, colour=GREY, tRNS=shorts(1)), [255, 255]),
        (png(b"\x07\xf0", width=2, depth=8, colour=GREY, tRNS=shorts(7)), [255, 240]),
        (png(SHADES, width=4, depth=16, colour=GREY, tRNS=shorts(30000)), [0, 4, 255, 255]),
        (png(b"\x07\x80\x09\x00", width=2, depth=8, colour=GREY_ALPHA), [131, 255]),
        (png(shorts(0, 65535, 9, 0), width=2, depth=16, colour=GREY_ALPHA), [0, 255]),
        (png(bytes(range(6)), width=2, depth=8, colour=RGB), [(0, 1, 2), (3, 4, 5)]),
        (png(COLOURS, width=2, depth=16, colour=RGB), [(0, 1, 2), (156, 195, 234)]),
        (
            png(b"\3\1\2\3\4\5", width=2, depth=8, colour=RGB, tRNS=shorts(3, 4, 5)),
            [(3, 1, 2), (255, 255, 255)],
        ),
        (
            png(COLOURS, width=2, depth=16, colour=RGB, tRNS=shorts(40000, 50000, 60000)),
            [(0, 1, 2), (255, 255, 255)],
        ),
        (
            png(bytes([1, 2, 3, 255, 0, 100, 200, 128]), width=2, depth=8, colour=RGB_ALPHA),
            [(1, 2, 3), (127, 177, 227)],
        ),
        (
            png(shorts(256, 512, 768, 65535, 9, 9, 9, 0), width=2, depth=16, colour=RGB_ALPHA),
            [(1, 2, 3), (255, 255, 255)],
        ),
        (
            png(TWO, width=4, depth=2, colour=PALETTE, PLTE=bytes(range(12))),
            [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)],
        ),
        (
            png(TWO, width=4, depth=2, colour=PALETTE, PLTE=bytes(range(12)), tRNS=b"\xff\0\x80"),
            [(0, 1, 2), (255, 255, 255), (130, 131, 131), (9, 10, 11)],
        ),
    ],
)
def test_read_image_shows_every_kind_of_png_over_white(data: bytes, row: list[Any]) -> None:
    expected = np.array([value if isinstance(value, tuple) else (value,) * 3 for value in row])
    assert seen(data).tolist() == [expected.tolist()]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_read_image_agrees_with_what_was_saved(form: str, mode: str) -> None:
    picture = colours().convert(mode)
    error = np.abs(seen(saved(picture, form)) - np.asarray(picture.convert("RGB"), np.int64))
    assert error.max() <= (12 if form == "JPEG" else 0)


def test_read_image_shows_transparent_webp_over_white() -> None:
    picture = Image.new("RGBA", (4, 4), (0, 100, 200, 128))
    assert seen(saved(picture, "WEBP"))[0, 0].tolist() == [127, 177, 227]


@pytest.mark.parametrize("marked", [True, False])
def test_read_image_shows_cmyk_jpeg_as_inverted_with_or_without_adobe_marker(marked: bool) -> None:
    data = saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")
    at = data.index(b"\xff\xeeAdobe"[:2])
    without = data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]
    assert seen(data if marked else without)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_image_turns_pictures_upright(form: str, orientation: int) -> None:
    stored = np.asarray(colours())
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored.transpose(1, 0, 2)[:, ::-1],
        7: stored.transpose(1, 0, 2)[::-1, ::-1],
        8: stored.transpose(1, 0, 2)[::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = seen(saved(Image.fromarray(stored), form, exif=exif.tobytes()))
    assert shown.shape == upright.shape
    assert np.abs(shown - upright.astype(np.int64)).max() <= (12 if form == "JPEG" else 0)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "block", [b"", b"nonsense", b"MM\0*\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02"]
)
def test_read_image_passes_over_broken_exif(form: str, block: bytes) -> None:
    data = saved(colours(), form, exif=b"Exif\0\0" + block)
    assert np.array_equal(seen(data), seen(saved(colours(), form)))


@pytest.mark.parametrize("form", FORMATS)
def test_read_image_obeys_the_colour_profile(form: str) -> None:
    plain = seen(saved(colours(), form))
    swapped = seen(saved(colours(), form, icc_profile=rgb_profile(G, R, B)))
    straight = seen(saved(colours(), form, icc_profile=rgb_profile(R, G, B)))
    assert np.abs(straight - plain).max() <= 10  # gamma 2.2 is not quite sRGB's curve
    assert np.abs(swapped - straight[..., [1, 0, 2]]).max() <= 1


def test_read_image_converts_display_p3_to_srgb() -> None:
    stored = np.array([180, 120, 90])
    picture = Image.new("RGB", (1, 1), tuple(stored.tolist()))
    data = saved(picture, "PNG", icc_profile=rgb_profile(*DISPLAY_P3, 2.0))
    expected = to_srgb(np.array(P3_TO_SRGB) @ (stored / 255) ** 2)
    assert np.abs(seen(data)[0, 0] - expected).max() <= 1


def test_read_image_obeys_the_profile_of_a_grey_picture() -> None:
    linear = profile(b"GRAY", kTRC=gamma(1))
    for fitting in (linear, rgb_profile(R, G, B, 1.0)):
        data = saved(Image.new("L", (1, 1), 55), "PNG", icc_profile=fitting)
        assert seen(data)[0, 0].tolist() == [128, 128, 128]


def test_read_image_obeys_a_cmyk_profile() -> None:
    cyan_is_black = b"".join(bytes([0 if corner & 8 else 255, 128, 128]) for corner in range(16))
    table = b"mft1\0\0\0\0\x04\x03\x02\0" + struct.pack(
        ">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536
    )
    table += bytes(range(256)) * 4 + cyan_is_black + bytes(range(256)) * 3
    press = profile(b"CMYK", A2B0=table)
    for ink, shown in [((255, 0, 0, 0), 0), ((0, 255, 255, 0), 255)]:
        data = saved(Image.new("CMYK", (16, 16), ink), "JPEG", icc_profile=press)
        assert seen(data)[0, 0].tolist() == [shown] * 3


@pytest.mark.parametrize(
    "useless",
    [
        b"nonsense",
        rgb_profile(G, R, B)[:200],
        rgb_profile(G, R, B).replace(b"RGB ", b"\xff\xff\xff\xff"),
        profile(b"GRAY", kTRC=gamma(1)),
        profile(b"RGB ", A2B0=b""),
    ],
)
def test_read_image_passes_over_a_profile_that_is_broken_or_does_not_fit(useless: bytes) -> None:
    assert np.array_equal(
        seen(saved(colours(), "PNG", icc_profile=useless)), seen(saved(colours(), "PNG"))
    )


def test_read_image_leaves_srgb_as_it_is() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    change = seen(saved(colours(), "PNG", icc_profile=srgb)) - np.asarray(colours(), np.int64)
    assert np.abs(change).max() <= 1


def test_read_image_reads_the_first_picture_of_an_mpo() -> None:
    data = saved(colours(), "MPO", save_all=True, append_images=[colours(1)], quality=95)
    assert np.abs(seen(data) - np.asarray(colours(), np.int64)).mean() < 5


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty, 0 bytes"),
        (b"Dear diary,\n", "not a PNG, JPEG or WebP picture"),
        (b"\x89PNG\r\n\x1a\n", "damaged or cut short, not a whole PNG file"),
        (b"\xff\xd8\xff", "damaged or cut short, not a whole JPEG file"),
        (b"RIFF\0\0\0\0WEBP", "damaged or cut short, not a whole WEBP file"),
        (png(b"", width=0, depth=8, colour=GREY), "damaged or cut short, not a whole PNG file"),
        (
            png(b"\7", width=1, depth=8, colour=GREY, tRNS=b""),
            "damaged or cut short, not a whole PNG file",
        ),
        (saved(colours(), "TIFF"), "not a PNG, JPEG or WebP picture"),
        (saved(colours(), "GIF"), "not a PNG, JPEG or WebP picture"),
        (animated("GIF"), "not a PNG, JPEG or WebP picture"),
        (animated("PNG"), "animated, and only still pictures are read"),
        (animated("WEBP"), "animated, and only still pictures are read"),
        (giant("PNG", 30_000, 30_000), "more than 64 million pixels"),
        (giant("JPEG", 30_000, 30_000), "more than 64 million pixels"),
        (giant("WEBP", 16_383, 16_383), "more than 64 million pixels"),
        (giant("PNG", MAX_PIXELS + 1, 1), "more than 64 million pixels"),
        (giant("JPEG", 8_001, 8_000), "more than 64 million pixels"),
        (giant("WEBP", 8_001, 8_000), "more than 64 million pixels"),
        (giant("PNG", 8_000, 8_000), "damaged or cut short, not a whole PNG file"),
        (b"\x89PNG\r\n\x1a\n".ljust(MAX_BYTES + 1), "more than 64 MiB"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value[:12]!r}",
)
def test_read_image_says_in_one_line_which_file_and_why(data: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_image(data, name="holiday.png")
    assert str(caught.value) == f"holiday.png: {reason}"


@pytest.mark.parametrize("form", FORMATS)
def test_read_image_refuses_a_bomb_without_taking_memory(form: str) -> None:
    side = 16_383 if form == "WEBP" else 30_000  # WebP's own limit
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unreadable, match="million pixels"):
        read_image(giant(form, side, side), name="bomb")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < MAX_PIXELS  # not one byte a pixel of what is allowed, KiB -> bytes


def test_read_image_blames_the_machine_when_memory_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", full)
    with pytest.raises(Unreadable, match="x: not enough memory to read it"):
        read_image(png(b"\7", width=1, depth=8, colour=GREY), name="x")


def test_read_image_leaks_no_warning_and_leaves_filters_alone() -> None:
    data = png(b"\x07", width=1, depth=8, colour=GREY, acTL=bytes(8))
    with pytest.warns(UserWarning, match="Invalid APNG"):
        Image.open(BytesIO(data)).close()
    before = list(warnings.filters)
    assert seen(data).tolist() == [[[7, 7, 7]]]
    assert list(warnings.filters) == before


WHOLE = {
    "PNG": saved(colours(), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "palette": saved(colours().convert("P"), "PNG", transparency=3),
    "JPEG": saved(colours(), "JPEG", icc_profile=rgb_profile(G, R, B)),
    "progressive": saved(colours(), "JPEG", progressive=True),
    "CMYK": saved(colours().convert("CMYK"), "JPEG"),
    "WEBP": saved(colours(), "WEBP"),
    "lossy": saved(colours(), "WEBP", lossless=False),
}


def check_reads_or_refuses(data: bytes) -> None:
    try:
        pixels = read_image(data, name="odd")
    except Unreadable as e:
        (line,) = str(e).splitlines()
        if not line.startswith("odd: "):
            pytest.fail(line)
        return
    assert pixels.shape[0] == 3
    assert 0 <= pixels.min() <= pixels.max() <= 1


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_read_image_never_shows_half_of_a_file_that_was_cut_short(form: str, data: Any) -> None:
    whole = WHOLE[form]
    start = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        pixels = read_image(start, name="cut")
    except Unreadable:
        return
    assert np.array_equal(pixels, read_image(whole, name="whole"))


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 3), st.binary(max_size=4))),
)
def test_read_image_reads_or_refuses_a_mutated_file_and_nothing_else(
    form: str, edits: list[tuple[int, int, bytes]]
) -> None:
    data = WHOLE[form]
    for place, gone, new in edits:
        at = place % (len(data) + 1)
        data = data[:at] + new + data[at + gone :]
    check_reads_or_refuses(data)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b""]))
def test_read_image_reads_or_refuses_any_bytes(data: bytes, start: bytes) -> None:
    check_reads_or_refuses(start + data)


def test_read_file_gives_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0abc")
    assert read_file(tmp_path / "a") == b"\0abc"


def test_read_file_says_in_one_line_which_file_and_why(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with (tmp_path / "long").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    for name, reason in {
        "missing": "cannot be opened: no such file or directory",
        ".": "cannot be opened: is a directory",
        "empty": "empty, 0 bytes",
        "long": "more than 64 MiB",
    }.items():
        with pytest.raises(Unreadable) as caught:
            read_file(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {reason}"


def test_unreadable_keeps_strange_names_on_one_line_and_survives_a_queue() -> None:
    error = pickle.loads(pickle.dumps(Unreadable("a\nb\x1b[31m\udcff é.png", "empty")))
    assert str(error) == "a\\nb\\x1b[31m\\udcff é.png: empty"
    assert (error.name, error.reason) == ("a\nb\x1b[31m\udcff é.png", "empty")


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_encode_png_keeps_every_pixel_at_eight_bits(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).uniform(-0.1, 1.1, (3, height, width)).astype(np.float32)
    again = read_image(encode_png(pixels), name="own")
    assert np.abs(again - pixels.clip(0, 1)).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(read_image(encode_png(again), name="own"), again)


def test_encode_jpeg_loses_more_at_lower_quality() -> None:
    pixels = read_image(saved(colours(), "PNG"), name="own")
    good, poor = (encode_jpeg(pixels, quality=quality) for quality in (90, 20))
    errors = [np.abs(read_image(data, name="own") - pixels).mean() for data in (good, poor)]
    assert errors[0] < errors[1] < 0.1
    assert len(poor) < len(good)


def test_encode_png_refuses_what_is_not_a_picture() -> None:
    with pytest.raises(AssertionError, match=r"\(3, H, W\)"):
        encode_png(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(AssertionError, match="numbers"):
        encode_png(np.full((3, 4, 4), np.nan, np.float32))
