"""What a policy asks for is in the file before it is signed, and in its record; or it stays."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image, ImageFont

from generators.sampling import Request
from provenance.database import snapshot
from provenance.formats import Encoding, Format
from provenance.image import Pixels, encode_png, read_image
from provenance.ledger.log import log_size
from provenance.ledger.policy import Policy, parse_policy
from provenance.ledger.record import Picture
from provenance.manifest.errors import BadLabel
from provenance.manifest.tc260 import NAMESPACE
from provenance.manifest.visible import draw_label
from provenance.verdict.table import Outcome
from provenance.watermark.search import QUICK
from tests.workers.toys import generator, key
from workers.erasing import Erased
from workers.examine import open_library
from workers.folder import TENANT, DataFolder, load_claim_signer, load_trust, make, open_folder
from workers.generate import How, Marked, WeakMark, generate, unerased
from workers.marking import Kind
from workers.policy import (
    FILE,
    FONT,
    NO_LABELS,
    BadPolicy,
    CannotLabel,
    Labels,
    OtherPolicy,
    load,
    save,
)
from workers.seal import Changed, Sealed, seal
from workers.verify import judge

CODE = "001191440101MA9Y9T4H7A00000"
LABELS = Labels(text="AI", producer=CODE)


class Covering(Labels):
    """A label as large as the picture but for its uppermost rows."""

    def draw(self, pixels: Pixels) -> Pixels:
        covered = pixels.copy()
        covered[:, 16:] = 0.5
        return covered


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    """A data folder whose policy asks for both labels."""
    make(tmp_path / "data", now=datetime.now(UTC))
    save(tmp_path / "data", LABELS)
    with open_folder(tmp_path / "data") as opened:
        yield opened


def sealed(folder: DataFolder, tmp_path: Path, labels: Labels) -> Sealed[Marked]:
    """A toy picture with these labels, signed and recorded."""
    toy, marker = generator(tmp_path)
    own = folder.keyring.marks().active(TENANT)
    wish = [Request("grey", 3)]
    pictures = generate(toy, marker, wish, How(Kind.LEXICAL, own, unerased, labels=labels))
    now = datetime.now(UTC)
    signer, trust = load_claim_signer(folder, now=now), load_trust(folder, now=now)
    return seal(folder, signer, pictures, trust=trust, marker=marker, key=own, erased=Erased())[0]


def test_labels_are_in_the_file_that_leaves_and_in_its_record(
    folder: DataFolder, tmp_path: Path
) -> None:
    one = sealed(folder, tmp_path, folder.labels)
    assert isinstance(one.record, Picture)
    said = parse_policy(one.record.policy)
    assert said == Policy("marked/1", test=True, producer=CODE, label="AI")
    with Image.open(BytesIO(one.file)) as file:
        found = ElementTree.fromstring(file.info["XML:com.adobe.xmp"]).find(
            f".//{{{NAMESPACE}}}AIGC"
        )
    assert found is not None
    written = json.loads(found.text or "")
    assert (written["Label"], written["ContentProducer"]) == ("1", CODE)
    assert written["ProduceID"] == one.record.id
    drawn = np.ascontiguousarray(one.marked.drawn.pixels.transpose(2, 0, 1), np.float32)
    drawn /= 255
    left = read_image(one.file, name="it")
    assert np.abs(left - draw_label(drawn, "AI")).max() < 1 / 500
    assert np.abs(left - drawn).max() > 0.1


def test_a_labelled_picture_is_intact_and_its_mark_was_read_under_the_label(
    folder: DataFolder, tmp_path: Path
) -> None:
    one = sealed(folder, tmp_path, folder.labels)
    _, marker = generator(tmp_path)
    keys = folder.keyring.marks().keys
    with open_library(folder) as library:
        judged = judge(one.file, name="it", marks=marker, keys=keys, plan=QUICK, library=library)
    assert judged.verdict.outcome is Outcome.INTACT
    own = folder.keyring.marks().active(TENANT)
    plain = generate(*generator(tmp_path), [Request("grey", 3)], How(Kind.LEXICAL, own, unerased))[
        0
    ]
    assert one.marked.finding.corrected != plain.finding.corrected
    assert one.marked.finding.corrected < plain.finding.threshold


def test_a_label_that_covers_too_much_of_the_mark_fails_the_picture(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    wish = [Request("grey", 3)]
    assert generate(toy, marker, wish, How(Kind.SWAP, key(), unerased, labels=Labels("AI")))
    with pytest.raises(WeakMark, match="cannot carry the mark"):
        generate(toy, marker, wish, How(Kind.SWAP, key(), unerased, labels=Covering("AI")))


@pytest.mark.parametrize("labels", [NO_LABELS, replace(LABELS, text="A"), Labels("AI")])
def test_a_picture_of_another_policy_is_not_sealed(
    folder: DataFolder, tmp_path: Path, labels: Labels
) -> None:
    with pytest.raises(OtherPolicy):
        sealed(folder, tmp_path, labels)
    with snapshot(folder.engine) as session:
        assert log_size(session) == 0


def test_a_new_folder_asks_for_no_labels(tmp_path: Path) -> None:
    make(tmp_path / "data", now=datetime.now(UTC))
    assert load(tmp_path / "data") == NO_LABELS


@pytest.mark.parametrize(
    "labels",
    [Labels("人工智能"), Labels("x" * 41), Labels(producer="a b"), Labels("AI", b"no font")],
)
def test_labels_that_cannot_be_made_are_no_policy(tmp_path: Path, labels: Labels) -> None:
    save(tmp_path, LABELS)
    with pytest.raises(BadLabel):
        save(tmp_path, labels)
    assert load(tmp_path) == LABELS


def test_a_font_is_kept_and_one_that_was_replaced_is_refused(tmp_path: Path) -> None:
    font = ImageFont.load_default(20).font_bytes  # type: ignore[union-attr]
    save(tmp_path, Labels("AI", font))
    assert load(tmp_path) == Labels("AI", font)
    (tmp_path / FONT).write_bytes(font + b"\0")
    with pytest.raises(BadPolicy, match="not as it was written"):
        load(tmp_path)
    (tmp_path / FONT).unlink()
    with pytest.raises(BadPolicy, match="policy set"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"AI"', "5"),
        ('"AI"', '"B"\n,"x": 1'),
        ("policy/1", "policy/2"),
        ("{", ""),
        ("\n}\n", "\n}"),
    ],
)
def test_a_policy_with_one_thing_wrong_opens_no_folder(
    folder: DataFolder, old: str, new: str
) -> None:
    file = folder.path / FILE
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(BadPolicy), open_folder(folder.path):
        raise AssertionError("opened with a policy that nobody wrote")


def test_a_folder_that_lost_its_policy_is_not_opened(folder: DataFolder) -> None:
    (folder.path / FILE).unlink()
    with pytest.raises(BadPolicy, match="policy set"), open_folder(folder.path):
        raise AssertionError("opened without a policy")


class Painting(Labels):
    """A label that is written into the file by drawing over its picture."""

    def write(self, file: bytes, number: str) -> bytes:
        pixels = read_image(file, name="it")
        pixels[0, 0, 0] = 1 - pixels[0, 0, 0]
        return encode_png(pixels)


def test_a_file_that_shows_something_else_once_it_is_signed_is_not_recorded(
    folder: DataFolder, tmp_path: Path
) -> None:
    painting = Painting("AI", producer=CODE)
    with pytest.raises(Changed):
        sealed(replace(folder, labels=painting), tmp_path, painting)
    with snapshot(folder.engine) as session:
        assert log_size(session) == 0


def test_files_that_cannot_carry_the_labels_are_named_before_anything_is_drawn() -> None:
    for encoding in (Encoding(), Encoding(Format.JPEG)):
        LABELS.check_fit(encoding)
    Labels("AI").check_fit(Encoding(Format.WEBP))
    with pytest.raises(CannotLabel, match="use png or jpeg"):
        LABELS.check_fit(Encoding(Format.WEBP))
