"""Numbers, times and states as people say them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from api.problems import MEANING, Kind
from provenance.jobs import Fault
from provenance.verdict.page import STATES
from provenance.verdict.table import Outcome

_NAMED = ((12, "trillion"), (9, "billion"), (6, "million"), (3, "thousand"))
_MOST_NAMED = 15  # a larger power of ten is written as one
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))

TONES: dict[Outcome, str] = {
    Outcome.INTACT: "good",
    Outcome.REVOKED: "bad",
    Outcome.STRIPPED: "partly",
    Outcome.EDITED: "partly",
    Outcome.UPLOAD_INTACT: "told",
    Outcome.UPLOAD_REVOKED: "bad",
    Outcome.UPLOAD_STRIPPED: "partly",
    Outcome.UPLOAD_EDITED: "partly",
    Outcome.MANIFEST_SUBSTITUTED: "bad",
    Outcome.MARK_TRANSPLANTED: "bad",
    Outcome.UNRECORDED: "bad",
    Outcome.READERS_DISAGREE: "bad",
    Outcome.MARKED: "partly",
    Outcome.SIMILAR: "partly",
    Outcome.SIGNED_ELSEWHERE: "told",
    Outcome.NO_EVIDENCE: "none",
}
"""The colour and icon of each outcome; that of no evidence is no other's."""

SENTENCES: dict[Outcome, str] = {
    Outcome.INTACT: "Made here, and unchanged since.",
    Outcome.REVOKED: "Made here, but its record was revoked.",
    Outcome.STRIPPED: "Made here, but its credentials were removed.",
    Outcome.EDITED: "Goes back to a picture made here, and was changed since.",
    Outcome.UPLOAD_INTACT: "Brought here and marked on request; unchanged since.",
    Outcome.UPLOAD_REVOKED: "Brought here and marked on request, but its record was revoked.",
    Outcome.UPLOAD_STRIPPED: "Brought here and marked on request; its credentials were removed.",
    Outcome.UPLOAD_EDITED: "Goes back to a picture marked here on request, and was changed since.",
    Outcome.MANIFEST_SUBSTITUTED: "Its credentials belong to another picture.",
    Outcome.MARK_TRANSPLANTED: "Carries our mark, but is another picture.",
    Outcome.UNRECORDED: "Signed with our key, but not in our log: do not trust it.",
    Outcome.READERS_DISAGREE: "Nothing is decided: its credentials can be read in two ways.",
    Outcome.MARKED: "Carries our mark; nothing else confirms that it was made here.",
    Outcome.SIMILAR: "Looks like a picture of ours; nothing else confirms that it is.",
    Outcome.SIGNED_ELSEWHERE: "Signed by another maker; nothing shows that it was made here.",
    Outcome.NO_EVIDENCE: "We cannot tell where this picture comes from.",
}
"""Each outcome in one sentence; what exactly it says and leaves open stands beneath it."""

LOOKED_FOR: dict[str, str] = {
    "record": "This file, or these pixels, in our log",
    "manifest": "Signed credentials in the file (C2PA)",
    "mark": "Our invisible mark in the pixels",
    "fingerprint": "Recorded pictures that look like it",
    "revocation": "A revocation of any record it points to",
    "origin": "Whether those records are of drawings or of uploads",
    "classifier": "What a classifier believes, which decides nothing",
}
"""What each check looks for."""

FAULTS: dict[Fault, str] = {
    Fault.WEAK_MARK: "Ask for a picture with more detail, another seed, or a weaker attack to "
    "survive: a picture that cannot carry the mark is not given out.",
    Fault.BAD_WISH: "Change the wish: the field named above is outside what the model can do.",
    Fault.UNREADABLE: "Send the file as it was saved: a whole PNG, JPEG or WebP.",
    Fault.UNMARKABLE: "Send a larger picture, or one with more detail.",
    Fault.CHECKER_DIED: "The file broke the program that reads it, so nothing is known about it. "
    "Save the picture anew with another program and send that.",
    Fault.CHECKER_TIMEOUT: "Send a smaller picture, or search less widely.",
    Fault.UPLOAD_GONE: "Send the picture again.",
    Fault.FETCH_REFUSED: "Nothing is fetched from this address. Send the picture itself.",
    Fault.FETCH_FAILED: "See whether the address answers with the picture, or send the picture "
    "itself.",
    Fault.FETCH_TOO_LARGE: "Send a smaller picture.",
    Fault.BANNED: "Ask for something else: what was asked for, or what came of it, may not be "
    "drawn here.",
    Fault.POLICY: "Tell whoever runs this service: its policy cannot be applied as it says, and "
    "nothing is drawn without it.",
    Fault.NO_KEY: "Tell whoever runs this service: your tenant has no mark key.",
    Fault.WORKER_FAILED: "Send it again; if it stays so, tell whoever runs this service.",
    Fault.WORKER_DIED: "Every worker that tried it died. Send it again; if it stays so, tell "
    "whoever runs this service.",
}
"""What to do when a job has failed."""


FIELDS: dict[str, str] = {
    "at": "Recorded at",
    "id": "Id of the picture",
    "kind": "Kind of record",
    "software": "Software",
    "generator": "Drawn by the model",
    "codec": "Marked with the codec of",
    "weights": "SHA-256 of the weights",
    "mark": "Invisible mark",
    "number": "Number in the mark",
    "policy": "Policy it was made under",
    "erased": "Concepts erased",
    "pixels": "SHA-256 of the pixels",
    "file": "SHA-256 of the file",
    "fingerprint": "What it looks like (PDQ)",
    "manifest": "Label of its credentials",
    "commitments": "Sealed values, which can be deleted",
    "subject": "Entry that it speaks about",
    "reason": "Reason",
    "purpose": "Key for",
    "retired": "Key before",
    "active": "Key from now on",
    "compromised": "Others may have had it since",
    "fields": "Sealed values that were deleted",
    "kept": "What was deleted outside the log",
    "detector": "Detector",
    "version": "Version",
    "old": "Threshold before",
    "new": "Threshold from now on",
    "statement": "SHA-256 of the signed verdict",
    "key": "Signed with the key",
}
"""What each field of a record holds."""


def odds(value: object) -> str:
    """A probability as "1 in 4 million"; the text itself if it is none."""
    try:
        p = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    if not p.is_finite() or p > 1 or p < 0:
        return str(value)
    if p == 0:
        return f"less than 1 in {_power(300)}"
    if p > Decimal("0.5"):
        return "expected by chance"
    one_in = 1 / p
    power = one_in.adjusted()
    if power >= _MOST_NAMED:
        return f"1 in {_power(power)}"
    for digits, name in _NAMED:
        if power >= digits:
            return f"1 in {_short(one_in / 10**digits)} {name}"
    return f"1 in {_short(one_in)}"


def count(number: int, one: str, many: str | None = None) -> str:
    """So many of something, in the right number."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def when(moment: datetime | str | int | None) -> str:
    """A time to the second, with its zone."""
    if moment is None:
        return "never"
    if isinstance(moment, int):
        moment = datetime.fromtimestamp(moment, UTC)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def age(moment: datetime) -> str:
    """How long ago, in the largest unit of which there is one."""
    seconds = max(0, math.floor((datetime.now(UTC) - moment).total_seconds()))
    for length, unit in _UNITS:
        if seconds >= length:
            return count(seconds // length, unit)
    return "just now"


def bytes_as(size: int) -> str:
    """A length in the unit that fits."""
    return f"{size / 2**20:.0f} MiB" if size >= 2**20 else f"{size / 1024:.0f} KiB"


def state(value: str) -> str:
    """A finding's state as a sentence."""
    return STATES.get(value, value)  # type: ignore[call-overload,no-any-return]


def tone(outcome: str) -> str:
    """The colour of an outcome."""
    return TONES[Outcome(outcome)]


def sentence(outcome: str) -> str:
    """The outcome in one sentence."""
    return SENTENCES[Outcome(outcome)]


def advice(kind: Kind) -> str:
    """What to do about a problem."""
    return MEANING[kind].advice


def todo(fault: str) -> str:
    """What to do about a fault."""
    return FAULTS[Fault(fault)]


def measured(finding: dict[str, Any]) -> str:
    """A finding's number with its unit and the limit it was held against."""
    quantity, value, threshold = finding["quantity"], finding["value"], finding["threshold"]
    if quantity is None:
        return ""
    if quantity.startswith("corrected p"):
        return (
            f"chance of a false match: {odds(value)}; counts as found at {odds(threshold)} or less"
        )
    limit = f" (at most {threshold} for a match)" if threshold is not None else ""
    return f"{quantity}: {value}{limit}"


def field(name: str) -> str:
    """What a field of a record holds."""
    return FIELDS.get(name, name)


def _power(power: int) -> str:
    """A power of ten, e.g. 10²¹."""
    return "10" + str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _short(value: Decimal) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")


FILTERS: dict[str, Callable[..., Any]] = {
    "odds": odds,
    "count": count,
    "when": when,
    "age": age,
    "bytes": bytes_as,
    "state": state,
    "tone": tone,
    "sentence": sentence,
    "advice": advice,
    "todo": todo,
    "measured": measured,
    "field": field,
    "looked_for": LOOKED_FOR.__getitem__,
}
"""What templates may call."""
