"""The classifier in the words of the verdict, as plain values, and as maps to look at."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from provenance.forensics import conformal, trace
from provenance.forensics.answer import Answer, Classifier, Outcome
from provenance.forensics.member import WEIGHTS, BadMember, Member, load_embedded
from provenance.forensics.trace import Redraw, Tracer
from provenance.image import Pixels
from provenance.verdict.finding import Check, ClassifierState, Finding, number
from workers.marking import Marker

CALIBRATION = WEIGHTS.with_name("embedded.json")
TRACED = ("icons-128",)  # models whose trace comes with us: without its file nothing is answered
STATES = {
    Outcome.OWN: ClassifierState.OWN,
    Outcome.EVIDENCE: ClassifierState.EVIDENCE,
    Outcome.INSUFFICIENT: ClassifierState.INSUFFICIENT,
    Outcome.OUT_OF_SCOPE: ClassifierState.OUT_OF_SCOPE,
}
NEVER = "it never decides, knows few families, and says nothing of a picture being real"


def load_classifier(
    markers: Iterable[Marker], name: str | None = None, calibration: Path | None = None
) -> Classifier:
    """A member with its calibration, and the trace of the model among these that has one.

    Without a name the embedded one; raises BadMember, BadCalibration.
    """
    member = load_member(name)
    path = CALIBRATION if calibration is None else calibration
    scores = conformal.read_calibration(path, member=member.name)
    traces = (load_trace(marker) for marker in markers)
    return Classifier(member, scores, next((one for one in traces if one is not None), None))


def load_member(name: str | None) -> Member:
    """`dda:FILE`, `embedded:FILE`, or None for the embedded one; raises BadMember."""
    if name is None:
        return load_embedded()
    kind, _, path = name.partition(":")
    if kind == "dda" and path:
        dda = import_module("provenance.forensics.dda")  # transformers, which few need here
        found: Member = dda.load_dual_alignment(Path(path))
        return found
    if kind == "embedded" and path:
        return load_embedded(Path(path))
    raise BadMember(f"a member is dda:FILE or embedded:FILE, not {name!r}")


def load_trace(marker: Marker) -> Tracer | None:
    """The tracer of a model, or None if none was calibrated for it."""
    if marker.name not in TRACED:
        return None
    path = trace.WEIGHTS / f"trace-{marker.name}.json"
    return trace.load_tracer(path, redraw(marker), model=codec_name(marker), side=marker.spec.side)


def codec_name(marker: Marker) -> str:
    """The model and the digest of the codec that its trace is of."""
    return f"{marker.name} {marker.spec.codec.digest.hex()[:16]}"


def redraw(marker: Marker) -> Redraw:
    """Decodes what is read in a picture."""

    def work(pixels: Pixels) -> Pixels:
        with torch.inference_mode():
            tokens = marker.codec.read(torch.from_numpy(pixels)[None]).tokens
            drawn: Pixels = marker.codec.decode(tokens)[0].numpy()
        return drawn

    return work


def classifier_finding(answer: Answer) -> Finding[ClassifierState]:
    """The answer in the verdict's words: the p-value that it rests on, if there is one."""
    traced, value = answer.traced, answer.value
    if answer.outcome is Outcome.OWN and traced is not None:
        version, quantity = f"trace/1 {traced.model}", f"p among {traced.pictures} other pictures"
        check = Check(version, quantity, number(traced.p), number(traced.alpha), answer.reason)
        return Finding(ClassifierState.OWN, check)
    caveat = f"{answer.reason}; {NEVER}"
    if value is None:
        check = Check(answer.member, "pictures in scope", number(0), None, caveat)
    else:
        quantity = f"p among {value.photographs} photographs"
        check = Check(answer.member, quantity, number(value.p), number(answer.alpha), caveat)
    return Finding(STATES[answer.outcome], check)


def answer_json(answer: Answer) -> dict[str, Any]:
    """The answer with everything that it was found from."""
    value, crops, traced = answer.value, answer.crops, answer.traced
    return {
        "outcome": answer.outcome.value,
        "reason": answer.reason,
        "member": answer.member,
        "alpha": answer.alpha,
        "p": None if value is None else value.p,
        "stratum": None if value is None else value.stratum,
        "photographs": None if value is None else value.photographs,
        "score": None if crops is None else round(crops.score, 4),
        "crops": [] if crops is None else _crops(crops.places, crops.side, crops.logits),
        "reshipped": [
            {"name": one.name, "score": round(one.score, 4), "p": one.p} for one in answer.reshipped
        ],
        "trace": None
        if traced is None
        else {
            "model": traced.model,
            "p": traced.p,
            "alpha": traced.alpha,
            "statistic": round(traced.statistic, 4),
            "jpeg_quality": traced.quality,
            "pictures": traced.pictures,
        },
    }


def _crops(
    places: tuple[tuple[int, int], ...], side: int, logits: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Each crop with its share of the score, which they add up to."""
    return [
        {"x": x, "y": y, "side": side, "adds": round(float(logit) / len(places), 4)}
        for (y, x), logit in zip(places, logits, strict=True)
    ]
