"""Labels that a policy may ask for: in the metadata for China, and for the eye."""

from __future__ import annotations

import json
import math
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from provenance.manifest.container import Kind
from provenance.manifest.errors import AlreadySigned, BadLabel, NotEmbeddable
from provenance.manifest.finding import State
from provenance.manifest.read import Trust, read
from provenance.manifest.tc260 import NAMESPACE, Producer, label_file
from provenance.manifest.visible import draw_label
from provenance.manifest.write import sign
from tests.provenance.manifest.files import NOW, Authority, decoded, make_claim, picture

PRODUCER = Producer("001191440101MA9Y9T4H7A00000", "urn:c2pa:1")


@pytest.mark.parametrize("kind", [Kind.PNG, Kind.JPEG])
def test_label_is_in_the_packet_that_others_read(kind: Kind) -> None:
    labelled = label_file(picture(kind), PRODUCER)
    packet = Image.open(BytesIO(labelled)).info["xmp" if kind is Kind.JPEG else "XML:com.adobe.xmp"]
    found = ElementTree.fromstring(packet).find(f".//{{{NAMESPACE}}}AIGC")
    assert found is not None
    assert json.loads(found.text or "") == {
        "Label": "1",
        "ContentProducer": PRODUCER.code,
        "ProduceID": PRODUCER.number,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    assert decoded(labelled) == decoded(picture(kind))


@pytest.mark.parametrize("kind", [Kind.PNG, Kind.JPEG])
def test_labelled_file_is_signed_label_and_all(
    kind: Kind, authority: Authority, trust: Trust
) -> None:
    signed = sign(label_file(picture(kind), PRODUCER), make_claim(), authority.signer)
    assert read(signed.file, trust, now=NOW).state is State.TRUSTED
    relabelled = signed.file.replace(b"001191440101MA9Y9T4H7A00000", b"001191440101MA9Y9T4H7A00001")
    assert relabelled != signed.file
    assert read(relabelled, trust, now=NOW).reason is not None


def test_label_goes_in_once_and_before_signing(authority: Authority) -> None:
    labelled = label_file(picture(Kind.PNG), PRODUCER)
    with pytest.raises(NotEmbeddable, match="already"):
        label_file(labelled, PRODUCER)
    with pytest.raises(AlreadySigned):
        label_file(sign(picture(Kind.PNG), make_claim(), authority.signer).file, PRODUCER)


def test_webp_carries_no_label() -> None:
    with pytest.raises(NotEmbeddable, match="PNG or JPEG"):
        label_file(picture(Kind.WEBP), PRODUCER)


@pytest.mark.parametrize("text", ["", "a b", "<x>", "a\n", "x" * 129])
def test_producer_is_plain(text: str) -> None:
    for producer in (Producer(text, "1"), Producer("1", text)):
        with pytest.raises(BadLabel):
            label_file(picture(Kind.PNG), producer)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (256, 256), (300, 1000), (1024, 700)])
def test_visible_label_is_high_enough_and_only_in_its_corner(height: int, width: int) -> None:
    plain = np.full((3, height, width), 0.5, np.float32)
    labelled = draw_label(plain, "AI")
    changed = np.argwhere((labelled != plain).any(axis=0))
    assert changed.min(axis=0)[0] > height // 2
    assert changed.min(axis=0)[1] > width // 2
    assert tuple(changed.max(axis=0)) == (height - 1, width - 1)
    white = np.argwhere((labelled > 0.9).all(axis=0))
    letters = white.max(axis=0)[0] - white.min(axis=0)[0] + 1
    assert letters >= math.ceil(0.05 * min(height, width))
    assert (plain == 0.5).all()


@pytest.mark.parametrize("text", ["", "  ", "A\nI", "x" * 41, "\u4eba\u5de5"])
def test_visible_label_that_cannot_be_drawn_is_refused(text: str) -> None:
    plain = np.zeros((3, 64, 640), np.float32)
    assert draw_label(plain, "AI").any()
    with pytest.raises(BadLabel):
        draw_label(plain, text)


def test_visible_label_wider_than_the_picture_is_refused() -> None:
    with pytest.raises(BadLabel, match="does not fit"):
        draw_label(np.zeros((3, 400, 20), np.float32), "Made by a generator, not by a camera")
    with pytest.raises(BadLabel, match="neither"):
        draw_label(np.zeros((3, 64, 64), np.float32), "AI", font=b"no font")
