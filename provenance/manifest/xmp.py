"""Put an XMP packet into a PNG or JPEG file (XMP specification, part 3, sections 1.1.3 and 1.1.5).

To be done before signing: the manifest's hash then covers the packet.
"""

from __future__ import annotations

from typing import assert_never

from provenance.manifest.container import Kind, jpeg_segment, png_chunk, scan, slot
from provenance.manifest.errors import NotEmbeddable

_PNG_KEYWORD = b"XML:com.adobe.xmp\0"
_PNG_PLAIN = b"\0\0\0\0"  # not compressed, twice; no language; no translated keyword
_JPEG_NAME = b"http://ns.adobe.com/xap/1.0/\0"
_APP1 = 0xE1
_MAX_PACKET = 65_502  # bytes in one JPEG segment


def format_packet(property_xml: str, *, namespace: str, prefix: str) -> bytes:
    """A packet of one property, which is XML already."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:{prefix}="{namespace}">'
        f"{property_xml}"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def embed_packet(data: bytes, packet: bytes) -> bytes:
    """The file with the packet in it.

    Raises NotEmbeddable for a WebP file, which would have to change its form, for a file that has
    a packet, and for a packet over the limit; AlreadySigned for a signed file.
    """
    at = slot(data)
    found = scan(data)
    if found.xmp:
        raise NotEmbeddable("the file has an XMP packet already")
    if len(packet) > _MAX_PACKET:
        raise NotEmbeddable(f"an XMP packet of {len(packet)} bytes, at most {_MAX_PACKET} fit")
    match found.kind:
        case Kind.PNG:
            framed = png_chunk(b"iTXt", _PNG_KEYWORD + _PNG_PLAIN + packet)
        case Kind.JPEG:
            framed = jpeg_segment(_APP1, _JPEG_NAME + packet)
        case Kind.WEBP:
            raise NotEmbeddable("no XMP packet is put into WebP files: use PNG or JPEG")
        case _:
            assert_never(found.kind)
    return data[:at] + framed + data[at:]
