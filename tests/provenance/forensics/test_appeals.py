"""What was judged wrongly once is kept, and found again when it is."""

from pathlib import Path

import numpy as np
import pytest

from provenance.errors import Unreadable
from provenance.forensics import appeals
from provenance.forensics.answer import Classifier, Outcome
from provenance.forensics.appeals import BadAppeals, Truth
from provenance.image import encode_png
from provenance.robustness import files
from tests.provenance.forensics.scenes import scene
from tests.provenance.forensics.toy_member import Brightness, calibration

STRICT = Classifier(Brightness(), calibration("brightness/1", 9.0))
EAGER = Classifier(Brightness(), calibration("brightness/1", 4.0))


@pytest.fixture
def bright(tmp_path: Path) -> Path:
    half = scene() * np.float32(0.5) + np.float32(0.5)
    (tmp_path / "bright.png").write_bytes(encode_png(files.rounded(half)))
    return tmp_path / "bright.png"


def test_a_photograph_that_is_accused_again_fails_the_member(bright: Path, tmp_path: Path) -> None:
    kept = appeals.add(tmp_path / "appeals", bright, Truth.PHOTOGRAPH, "taken by us")
    assert appeals.read_appeals(tmp_path / "appeals") == [kept]
    (failed,) = appeals.failures(tmp_path / "appeals", EAGER)
    assert (failed.appeal, failed.says) == (kept, Outcome.EVIDENCE)
    assert list(appeals.failures(tmp_path / "appeals", STRICT)) == []


def test_a_drawn_picture_that_is_missed_again_fails_it_too(bright: Path, tmp_path: Path) -> None:
    appeals.add(tmp_path / "appeals", bright, Truth.DRAWN, "")
    assert len(list(appeals.failures(tmp_path / "appeals", STRICT))) == 1
    assert list(appeals.failures(tmp_path / "appeals", EAGER)) == []


def test_one_picture_has_one_truth(bright: Path, tmp_path: Path) -> None:
    for _ in range(2):
        appeals.add(tmp_path / "appeals", bright, Truth.DRAWN, "")
    assert len(appeals.read_appeals(tmp_path / "appeals")) == 1
    with pytest.raises(BadAppeals, match="already appealed as drawn"):
        appeals.add(tmp_path / "appeals", bright, Truth.PHOTOGRAPH, "")


def test_what_is_no_picture_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no picture")
    with pytest.raises(Unreadable, match=r"note\.txt"):
        appeals.add(tmp_path / "appeals", tmp_path / "note.txt", Truth.DRAWN, "")
    assert appeals.read_appeals(tmp_path / "appeals") == []


def test_an_altered_appeal_is_no_appeal(bright: Path, tmp_path: Path) -> None:
    kept = appeals.add(tmp_path / "appeals", bright, Truth.DRAWN, "")
    (tmp_path / "appeals" / kept.file).write_bytes(encode_png(scene(3)))
    with pytest.raises(BadAppeals, match="not the file that was appealed"):
        list(appeals.failures(tmp_path / "appeals", EAGER))
