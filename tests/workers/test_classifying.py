"""The shipped classifier end to end: our own drawings, photographs, and the verdict's words."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from provenance.forensics import trace
from provenance.forensics.answer import Classifier, Outcome
from provenance.forensics.member import BadMember
from provenance.forensics.trace import BadTrace
from provenance.image import Pixels
from provenance.robustness import files
from provenance.verdict.finding import ClassifierState
from tests.provenance.forensics.scenes import scene
from workers.classifying import answer_json, classifier_finding, load_classifier, load_member
from workers.marking import Marker, load_marker


@cache
def marker() -> Marker:
    return load_marker("icons-128")


@cache
def classifier() -> Classifier:
    return load_classifier([marker()])


def drawn(seed: int) -> Pixels:
    """What the codec makes of a made-up photograph."""
    small = torch.from_numpy(scene(seed, 128, 128))[None]
    with torch.inference_mode():
        pixels = marker().codec.decode(marker().codec.encode(small))[0].numpy()
    return files.rounded(pixels)


@pytest.mark.parametrize("quality", [None, 70])
def test_what_our_codec_drew_is_ours_and_says_by_which_p(quality: int | None) -> None:
    pixels = drawn(0) if quality is None else files.jpeg(drawn(0), quality)
    answer = classifier().answer(pixels)
    assert answer.outcome is Outcome.OWN
    finding = classifier_finding(answer)
    assert finding.state is ClassifierState.OWN
    assert float(finding.check.value) <= 1e-3 == float(finding.check.threshold or 1)
    told = answer_json(answer)
    assert told["trace"]["jpeg_quality"] == quality
    assert told["score"] is None


def test_the_same_size_from_elsewhere_is_not_ours() -> None:
    for seed in range(4):
        answer = classifier().answer(scene(seed, 128, 128))
        assert answer.outcome is Outcome.OUT_OF_SCOPE
        assert answer.traced is not None
        assert answer.traced.p > 1e-3


def test_an_answer_has_every_number_that_it_was_found_from() -> None:
    answer = classifier().answer(scene(0, 200, 260))
    assert answer.outcome in (Outcome.EVIDENCE, Outcome.INSUFFICIENT)
    told = answer_json(answer)
    assert sum(crop["adds"] for crop in told["crops"]) == pytest.approx(told["score"], abs=2e-3)
    assert len(told["reshipped"]) == (4 if told["p"] <= told["alpha"] else 0)
    assert told["photographs"] >= 19
    finding = classifier_finding(answer)
    assert float(finding.check.value) == pytest.approx(told["p"], rel=1e-5)
    assert "never decides" in finding.check.caveat


def test_out_of_scope_says_why() -> None:
    finding = classifier_finding(classifier().answer(np.zeros((3, 300, 300), np.float32)))
    assert finding.state is ClassifierState.OUT_OF_SCOPE
    assert finding.check.caveat.startswith("one colour")


def test_a_member_nobody_knows_is_refused() -> None:
    with pytest.raises(BadMember, match="dda:FILE or embedded:FILE, not 'clip:x'"):
        load_member("clip:x")


def test_without_the_statistics_of_the_trace_nothing_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "WEIGHTS", tmp_path)
    with pytest.raises(BadTrace, match=r"trace-icons-128\.json"):
        load_classifier([marker()])
