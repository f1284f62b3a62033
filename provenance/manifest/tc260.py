"""China's implicit label of generated content (GB 45438-2025), in the XMP packet.

The seven keys, the value 1 for "generated" and the name space are as several independent public
implementations write them; the standard itself was not at hand. WebP files carry no such label
here. The label says what it says unsigned: anyone can write or remove it, so it is never evidence.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import escape

from provenance.manifest.errors import BadLabel
from provenance.manifest.xmp import embed_packet, format_packet

NAMESPACE = "http://www.tc260.org.cn/ns/AIGC/1.0/"
_GENERATED = "1"  # 2 and 3 are for platforms that only suspect it
_PLAIN = re.compile(r"[A-Za-z0-9:._/-]{1,128}")


@dataclass(frozen=True)
class Producer:
    """Who made a picture, by the code that the authorities gave, and its number there."""

    code: str
    number: str


def label_file(data: bytes, producer: Producer) -> bytes:
    """A PNG or JPEG file with the label; sign it afterwards. Raises BadLabel or NotEmbeddable."""
    for name, text in (("code", producer.code), ("number", producer.number)):
        if not _PLAIN.fullmatch(text):
            raise BadLabel(f"a producer's {name} is 1 to 128 plain characters, not {text[:80]!r}")
    fields = {
        "Label": _GENERATED,
        "ContentProducer": producer.code,
        "ProduceID": producer.number,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    value = escape(json.dumps(fields, separators=(",", ":")))
    packet = format_packet(f"<TC260:AIGC>{value}</TC260:AIGC>", namespace=NAMESPACE, prefix="TC260")
    return embed_packet(data, packet)
