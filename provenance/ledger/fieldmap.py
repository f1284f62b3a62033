"""Where a record and its pack answer what laws on marking AI-generated pictures ask for.

A map of fields, version 1, not a legal opinion: it says where a fact is found, not that a duty is
met. A fact that is not there is called missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from provenance.ledger.encoding import printable
from provenance.ledger.record import Picture

MISSING = "not in this pack"


@dataclass(frozen=True)
class Facts:
    """What a pack holds about one picture."""

    record: Picture
    entry: str  # "entry 12 of example.com/log"
    dated: int  # timestamps over the checkpoint
    attached: frozenset[str]


@dataclass(frozen=True)
class Field:
    """One thing asked for; `found` says what answers it, None if nothing does."""

    rule: str
    asks: str
    where: str
    found: Callable[[Facts], str | None]


def format_fields(facts: Facts) -> str:
    """The map for one picture, as a Markdown table."""
    rows = [("rule", "asks for", "found in", "what it says"), ("---",) * 4]
    rows += [(f.rule, f.asks, f.where, f.found(facts) or MISSING) for f in FIELD_MAP]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _mark(facts: Facts) -> str:
    mark, policy = facts.record.mark, facts.record.policy
    return f"none, by policy {policy}" if mark is None else f"{mark.scheme}, key {mark.key}"


def _attached(name: str) -> Callable[[Facts], str | None]:
    return lambda facts: "attached" if name in facts.attached else None


def _dated(facts: Facts) -> str | None:
    return f"{facts.dated} over the checkpoint" if facts.dated else None


def _missing(_: Facts) -> None:
    return None


_EU, _CODE = "EU AI Act, Art. 50(2)", "EU Code of Practice on marking"
_CALIFORNIA, _CHINA = "California SB 942, 22757.3(b)", "China GB 45438-2025"

FIELD_MAP: Sequence[Field] = (
    Field(_EU, "machine-readable marking", "record: manifest", lambda f: f.record.manifest),
    Field(_EU, "marking that lasts", "record: mark", _mark),
    Field(_CODE, "1.1.1 signed metadata", "manifest.c2pa", _attached("manifest.c2pa")),
    Field(_CODE, "1.1.1 time stamp", "timestamps", _dated),
    Field(_CODE, "1.1.2 imperceptible watermark", "record: mark", _mark),
    Field(_CODE, "1.1.3 fingerprint", "record: fingerprint", lambda f: f.record.fingerprint),
    Field(_CODE, "1.1.3 log", "proof.tlog-proof", lambda f: f.entry),
    Field(_CODE, "2 which technique was detected", "detector.json", _attached("detector.json")),
    Field(_CALIFORNIA, "name of the provider", "the manifest's certificate", _missing),
    Field(
        _CALIFORNIA,
        "system and version",
        "record: generator, weights, software",
        lambda f: f"{f.record.generator}, {f.record.weights.hex()}, {f.record.software}",
    ),
    Field(
        _CALIFORNIA, "time and date", "record: at", lambda f: f"{f.record.at:%Y-%m-%dT%H:%M:%SZ}"
    ),
    Field(_CALIFORNIA, "unique identifier", "record: id", lambda f: f.record.id),
    Field(_CHINA, "Label", "the file's TC260 metadata", _missing),
    Field(_CHINA, "ContentProducer", "the file's TC260 metadata", _missing),
    Field(_CHINA, "ProduceID", "record: id", lambda f: f.record.id),
    Field(_CHINA, "ContentPropagator, PropagateID", "the file's TC260 metadata", _missing),
)
