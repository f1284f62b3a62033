"""What the policy of an installation adds to every picture besides its mark.

A label that people see is drawn before the mark is read back, China's label (TC260) is written
before the manifest is signed, and the record says both. The policy is a file of the data folder,
made by `init`; without it nothing is drawn. `workers.seal` refuses a picture of another policy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from provenance.errors import ProvenanceError
from provenance.files import write_file
from provenance.formats import Encoding, Format
from provenance.image import Pixels, encode_png
from provenance.manifest.tc260 import Producer, label_file
from provenance.manifest.visible import draw_label

FILE, FONT = "policy.json", "label-font"
FORMAT = "countermark-policy/1"
WIDEST = (3, 128, 4096)  # a picture on which every label fits


class BadPolicy(ProvenanceError):
    """The policy of the data folder is missing, or not as it was written."""


class OtherPolicy(ProvenanceError):
    """A picture was not made as the policy of its installation asks."""


class CannotLabel(ProvenanceError):
    """Files of this format cannot carry the labels that the policy asks for."""


@dataclass(frozen=True)
class Labels:
    """What is drawn, with which font (None: Latin letters), and whose code China's label gives."""

    text: str | None = None
    font: bytes | None = field(default=None, repr=False)
    producer: str | None = None

    def draw(self, pixels: Pixels) -> Pixels:
        """The picture with the label that people see."""
        return pixels if self.text is None else draw_label(pixels, self.text, font=self.font)

    def check_fit(self, encoding: Encoding) -> None:
        """Raise CannotLabel unless files of this format can carry them."""
        if self.producer is not None and encoding.format is Format.WEBP:
            raise CannotLabel(
                "the policy asks for China's label, which WebP files do not carry: use png or jpeg"
            )

    def write(self, file: bytes, number: str) -> bytes:
        """The file with China's label, under the number of its record; to be signed afterwards."""
        return file if self.producer is None else label_file(file, Producer(self.producer, number))


NO_LABELS = Labels()


def save(folder: Path, labels: Labels) -> None:
    """Make these the labels of a data folder, font first; raises BadLabel for what cannot be."""
    labels.draw(np.zeros(WIDEST, np.float32))
    labels.write(encode_png(np.zeros((3, 8, 8), np.float32)), "1")
    if labels.font is not None:
        write_file(folder / FONT, labels.font)
    write_file(folder / FILE, _format(labels))


def load(folder: Path) -> Labels:
    """The labels of a data folder; raises BadPolicy."""
    try:
        data = (folder / FILE).read_bytes()
        document = json.loads(data)
        font = None if document["font"] is None else (folder / FONT).read_bytes()
        labels = Labels(document["label"], font, document["producer"])
        if not all(one is None or isinstance(one, str) for one in (labels.text, labels.producer)):
            raise TypeError("a label is text")
    except OSError as e:
        missing = f"{e.filename}: {e.strerror}"
        raise BadPolicy(f"{missing}; `countermark policy set` writes the policy anew") from e
    except (ValueError, KeyError, TypeError) as e:
        raise BadPolicy(f"{folder / FILE} is not a policy: set it anew") from e
    if _format(labels) != data:
        raise BadPolicy(f"{folder / FILE} or its font is not as it was written: set it anew")
    return labels


def _format(labels: Labels) -> bytes:
    document = {
        "format": FORMAT,
        "label": labels.text,
        "font": None if labels.font is None else sha256(labels.font).hexdigest(),
        "producer": labels.producer,
    }
    return json.dumps(document, indent=1).encode() + b"\n"
