"""Read pictures from untrusted bytes, within limits, as a viewer shows them.

read_image() accepts still PNG, JPEG and WebP files and nothing else. Size is refused from the
header, before any pixel is decoded. The result is upright (EXIF orientation), over white
(transparency), in sRGB (embedded ICC profile), with 8 bits a channel. An EXIF block or a colour
profile that is broken, or does not fit the picture, is passed over, as viewers do; PNG's gAMA,
cHRM and cICP are not read. Of a JPEG with several pictures (MPO: previews, stereo) the first is
read.

Not promised: a bound on time (a progressive JPEG may repeat its scans), and safety from a flaw in
the C decoders: give strangers' files to a process that may die. While a file is read, Python
warnings are silenced in the whole process. PNG (W3C, third edition), JPEG (ITU-T T.81), WebP
(RFC 9649).
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageCms, ImageFile

from provenance.errors import Unreadable

Pixels = npt.NDArray[np.float32]
"""A picture: (3, H, W) in C order, red, green, blue, sRGB-encoded, 0 is black and 1 is white."""

MAX_BYTES = 64 * 2**20  # a 64-megapixel photograph, hardly compressed, is smaller
MAX_PIXELS = 64_000_000  # 8000 x 8000; reading this many takes some 1.5 GB for a moment

_SIGNATURES = {
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WEBP": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
}
_UPRIGHT = {  # EXIF 2.32, tag 0x0112: what to do to the stored picture to see it as it was taken
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BANDS = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # ICC colour space -> Pillow mode
_PLAINER = {"1": "L", "P": "RGBA"}  # no palettes, and grey of 8 bits
_KEY_SCALE = {"L;2": 85.0, "L;4": 17.0, "RGB;16B": 1 / 256}  # tRNS value -> value as decoded


def read_file(path: Path) -> bytes:
    """The bytes of a file; raises Unreadable if there are none to have, or more than MAX_BYTES."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as e:
        reason = (e.strerror or type(e).__name__).lower()
        raise Unreadable(str(path), f"cannot be opened: {reason}") from e
    _check_length(data, name=str(path))
    return data


def read_image(data: bytes, *, name: str, most: int = MAX_PIXELS) -> Pixels:
    """The picture that a viewer shows for this file, of at most `most` pixels.

    Raises Unreadable, which says name and why.
    """
    _check_length(data, name=name)
    kind = next((kind for kind, mark in _SIGNATURES.items() if mark.match(data)), None)
    if kind is None:
        raise Unreadable(name, "not a PNG, JPEG or WebP picture")
    with _decoder(name, kind):
        picture = Image.open(BytesIO(data), formats=[kind])
        if picture.width * picture.height > most:
            raise Unreadable(name, f"more than {most // 10**6} million pixels")
        if kind != "JPEG" and getattr(picture, "is_animated", False):
            raise Unreadable(name, "animated, and only still pictures are read")
        shown = _upright(_over_white(picture), picture.info.get("exif"))
    pixels = np.ascontiguousarray(np.asarray(shown).transpose(2, 0, 1), np.float32)
    pixels /= 255
    return pixels


def encode_png(pixels: Pixels) -> bytes:
    """A PNG file of (3, H, W) pixels in [0, 1], rounded to 8 bits; values outside are clipped."""
    file = BytesIO()
    eight_bit(pixels).save(file, "PNG")
    return file.getvalue()


def encode_jpeg(pixels: Pixels, *, quality: int) -> bytes:
    """A JPEG file of (3, H, W) pixels in [0, 1], at libjpeg's quality 1 to 95, colour halved."""
    file = BytesIO()
    eight_bit(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


_TOO_LARGE = f"more than {MAX_PIXELS // 10**6} million pixels"


def _check_length(data: bytes, *, name: str) -> None:
    if not data:
        raise Unreadable(name, "empty, 0 bytes")
    if len(data) > MAX_BYTES:
        raise Unreadable(name, f"more than {MAX_BYTES // 2**20} MiB")


@contextmanager
def _decoder(name: str, kind: str) -> Iterator[None]:
    """Around all that Pillow does with a stranger's file: every failure of it is Unreadable."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except Unreadable:
            raise
        except Image.DecompressionBombError as e:
            raise Unreadable(name, _TOO_LARGE) from e
        except MemoryError as e:
            raise Unreadable(name, "not enough memory to read it") from e
        except Exception as e:  # Pillow leaks ValueError, SyntaxError, struct.error, EOFError …
            raise Unreadable(name, f"damaged or cut short, not a whole {kind} file") from e


def _over_white(picture: ImageFile.ImageFile) -> Image.Image:
    """The picture in sRGB, mode RGB, as it looks on a white page."""
    colours, alpha = _split(picture)
    rgb = _to_srgb(colours, picture.info.get("icc_profile"))
    if alpha is None:
        return rgb
    page = Image.new("RGB", rgb.size, "white")
    page.paste(rgb, mask=alpha)
    return page


def _split(picture: ImageFile.ImageFile) -> tuple[Image.Image, Image.Image | None]:
    """The colours, in mode L, RGB or CMYK, and how opaque they are, in mode L; None: fully."""
    packing = str(picture.tile[0].args) if picture.tile else ""
    picture.load()
    plain = picture.convert(_PLAINER.get(picture.mode, picture.mode))
    if plain.mode in ("LA", "RGBA"):
        return plain.convert(plain.mode.removesuffix("A")), plain.getchannel("A")
    values = np.asarray(plain)  # (H, W) or (H, W, bands)
    if plain.mode == "I;16":
        plain = Image.fromarray((values / 257 + 0.5).astype(np.uint8))
    if (key := picture.info.get("transparency")) is None:
        return plain, None
    clear = values == np.floor(np.asarray(key) * _KEY_SCALE.get(packing, 1))
    clear = clear.reshape(*values.shape[:2], -1).all(axis=2)
    return plain, Image.fromarray(np.where(clear, 0, 255).astype(np.uint8))


def _to_srgb(colours: Image.Image, profile: bytes | None) -> Image.Image:
    """The colours in mode RGB, through their profile if it is sound and meant for such colours."""
    if profile:
        with suppress(ImageCms.PyCMSError, OSError, ValueError):
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            bands = _BANDS.get(source.profile.xcolor_space, "")
            if bands == colours.mode or (bands, colours.mode) == ("RGB", "L"):
                target = ImageCms.createProfile("sRGB")
                transform = ImageCms.buildTransform(source, target, bands, "RGB")
                return transform.apply(colours.convert(bands))
    return colours.convert("RGB")


def _upright(picture: Image.Image, exif: bytes | None) -> Image.Image:
    """The picture turned as EXIF says; XMP's orientation is not asked, as viewers do not."""
    if exif is None:
        return picture
    tags = Image.Exif()
    try:
        tags.load(exif)
        turn = _UPRIGHT.get(tags.get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - a broken block may raise anything, and then says nothing
        turn = None
    return picture if turn is None else picture.transpose(turn)


def pixel_digest(pixels: Pixels) -> bytes:
    """SHA-256 of the picture as 8-bit pixels: equal for every lossless file of the same picture.

    Over the line `countermark-pixels/1`, width and height in 4 bytes each, big-endian, and the
    rows from the top in R, G, B.
    """
    picture = eight_bit(pixels)
    size = picture.width.to_bytes(4, "big") + picture.height.to_bytes(4, "big")
    return sha256(b"countermark-pixels/1\n" + size + picture.tobytes()).digest()


def eight_bit(pixels: Pixels) -> Image.Image:
    """(3, H, W) in [0, 1] -> a picture of mode RGB."""
    assert pixels.ndim == 3, f"pixels are (3, H, W), not {pixels.shape}"
    assert pixels.shape[0] == 3, f"pixels are (3, H, W), not {pixels.shape}"
    assert np.isfinite(pixels).all(), "pixels are numbers"
    return Image.fromarray(np.rint(pixels.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))
