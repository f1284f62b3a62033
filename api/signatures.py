"""Which kind of picture a file says it is, by its first bytes; nothing else in it is believed.

Only PNG, JPEG and WebP are let in. That a file starts like one does not make it readable: only a
worker, which may die of it, decodes it.
"""

PNG, JPEG, WEBP = "image/png", "image/jpeg", "image/webp"
MEDIA_TYPES = (PNG, JPEG, WEBP)
SIGNATURE_BYTES = 12
EXTENSIONS = {PNG: "png", JPEG: "jpg", WEBP: "webp"}


def sniff(head: bytes) -> str | None:
    """The media type of a file that starts like this; None for any other."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    return None
