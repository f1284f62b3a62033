"""The order of the answer's steps, and that only pixels can change it."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from provenance.forensics.answer import RESHIPMENTS, Classifier, Outcome
from provenance.forensics.member import Logits
from provenance.forensics.trace import Tracer
from provenance.image import Pixels, encode_png, read_image
from provenance.robustness import files
from tests.provenance.forensics.scenes import scene
from tests.provenance.forensics.toy_member import Brightness, Edge, calibration

DARK = scene() * np.float32(0.5)
BRIGHT = files.rounded(DARK + np.float32(0.5))
TOY = Classifier(Brightness(), calibration("brightness/1", 4.0))


def test_what_scores_as_few_photographs_do_is_evidence() -> None:
    answer = TOY.answer(BRIGHT)
    assert answer.outcome is Outcome.EVIDENCE
    assert answer.value is not None
    assert answer.value.p == 1 / 40
    assert [one.name for one in answer.reshipped] == list(RESHIPMENTS)
    assert all(one.p <= 0.05 for one in answer.reshipped)


def test_what_photographs_score_too_is_insufficient_and_never_real() -> None:
    answer = TOY.answer(DARK)
    assert answer.outcome is Outcome.INSUFFICIENT
    assert answer.value is not None
    assert answer.value.p > 0.05
    assert not any("real" in outcome.value for outcome in Outcome)


def test_evidence_that_a_shift_takes_away_is_none() -> None:
    pixels = DARK.copy()
    pixels[:, [0, 0, 64, 64], [0, 64, 0, 64]] = 1  # the crops' own corners
    answer = Classifier(Edge(), calibration("edge/1", 6.0)).answer(pixels)
    assert answer.value is not None
    assert answer.value.p <= 0.05
    assert answer.outcome is Outcome.INSUFFICIENT
    assert "moved by one pixel" in answer.reason


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (BRIGHT[:, :100], "smaller than 144 px"),
        (np.full((3, 160, 160), 1.0, np.float32), "one colour"),
    ],
)
def test_out_of_scope_has_a_reason_and_no_score(pixels: Pixels, reason: str) -> None:
    answer = TOY.answer(pixels)
    assert answer.outcome is Outcome.OUT_OF_SCOPE
    assert reason in answer.reason
    assert answer.value is None
    assert answer.crops is None


def test_our_own_model_comes_before_everything() -> None:
    def again(pixels: Pixels) -> Pixels:
        return pixels

    tracer = Tracer("toy 1", 64, again, np.linspace(-1, 0, 1000))
    own = Classifier(Brightness(), calibration("brightness/1", 4.0), tracer)
    answer = own.answer(scene(0, 64, 64))
    assert answer.outcome is Outcome.OWN
    assert "toy 1" in answer.reason
    assert own.answer(scene(0, 64, 80)).outcome is Outcome.OUT_OF_SCOPE


def test_the_map_adds_up_to_the_score() -> None:
    crops = TOY.answer(BRIGHT).crops
    assert crops is not None
    assert sum(crops.logits) / len(crops.places) == pytest.approx(crops.score)


def test_metadata_and_container_change_nothing() -> None:
    plain = encode_png(BRIGHT)
    note, other = PngImagePlugin.PngInfo(), io.BytesIO()
    note.add_text("parameters", "photo of a cat, Steps: 20, Sampler: Euler")
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    picture = files.to_image(BRIGHT)
    picture.save(other, "PNG", pnginfo=note, exif=exif)
    webp = io.BytesIO()
    picture.save(webp, "WEBP", lossless=True)
    answers = [
        TOY.answer(read_image(data, name="it"))
        for data in (plain, other.getvalue(), webp.getvalue())
    ]
    assert len({(a.outcome, a.reason, a.value, a.reshipped) for a in answers}) == 1


def test_only_what_is_evidence_as_it_is_is_looked_at_again() -> None:
    member = Counting()
    toy = Classifier(member, calibration("counting/1", 4.0))
    toy.answer(DARK)
    alone = member.looks
    assert toy.answer(DARK).reshipped == ()
    assert member.looks == 2 * alone
    toy.answer(BRIGHT)
    assert member.looks > 3 * alone


class Counting(Brightness):
    """Counts how often it is asked."""

    name = "counting/1"

    def __init__(self) -> None:
        self.looks = 0

    def logits(self, cut: Pixels) -> Logits:
        self.looks += 1
        return super().logits(cut)
