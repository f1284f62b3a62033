"""Where a record and its pack answer what laws on marking AI-generated pictures ask for.

A map of fields, version 2, not a legal opinion: it says where a fact is found, not that a duty is
met. A fact that is not there is called missing. Of California's law the text was read (Business and
Professions Code, 22757.3); the items of the EU's Code are those that secondary sources quote; of
China's standard, whose text was not at hand, no clause is named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from provenance.ledger.encoding import printable
from provenance.ledger.errors import Malformed
from provenance.ledger.policy import parse_policy
from provenance.ledger.record import Picture

MISSING = "not in this pack"
PROOF = "proof.tlog-proof"


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


def _policy(name: str) -> Callable[[Facts], str | None]:
    """What the record's policy says under this name, if it is of a form that says it."""

    def find(facts: Facts) -> str | None:
        try:
            found: str | None = getattr(parse_policy(facts.record.policy), name)
        except Malformed:
            return None
        return found

    return find


def _chinas(value: Callable[[Facts], str]) -> Callable[[Facts], str | None]:
    """A value of China's label in the file, if the policy says that there is one."""
    return lambda facts: value(facts) if _policy("producer")(facts) else None


_EU, _CODE = "EU AI Act, Art. 50(2)", "EU Code of Practice on marking"
_VISIBLE, _LATENT = "California SB 942, 22757.3(a)", "California SB 942, 22757.3(b)"
_CHINA = "China GB 45438-2025"

FIELD_MAP: Sequence[Field] = (
    Field(_EU, "marking of the output", "record: manifest", lambda f: f.record.manifest),
    Field(_CODE, "1.1.1 metadata, signed", "manifest.c2pa", _attached("manifest.c2pa")),
    Field(_CODE, "1.1.1 metadata, time-stamped", "timestamps", _dated),
    Field(_CODE, "1.1.2 imperceptible watermark", "record: mark", _mark),
    Field(
        _CODE,
        "1.1.3 fingerprint, optional and never enough alone",
        "record: fingerprint",
        lambda f: f.record.fingerprint,
    ),
    Field(_CODE, "1.1.3 logging, optional and never enough alone", PROOF, lambda f: f.entry),
    Field(_CODE, "2 which technique was detected", "detector.json", _attached("detector.json")),
    Field(_VISIBLE, "a visible disclosure, as an option", "record: policy", _policy("label")),
    Field(_LATENT, "name of the provider", "the manifest's certificate", _missing),
    Field(
        _LATENT,
        "system and version",
        "record: generator, weights, software",
        lambda f: f"{f.record.generator}, {f.record.weights.hex()}, {f.record.software}",
    ),
    Field(_LATENT, "time and date", "record: at", lambda f: f"{f.record.at:%Y-%m-%dT%H:%M:%SZ}"),
    Field(_LATENT, "unique identifier", "record: id", lambda f: f.record.id),
    Field(_CHINA, "explicit label", "record: policy", _policy("label")),
    Field(_CHINA, "Label", "the file's TC260 metadata", _chinas(lambda _: "1, generated")),
    Field(_CHINA, "ContentProducer", "record: policy", _policy("producer")),
    Field(_CHINA, "ProduceID", "record: id", _chinas(lambda f: f.record.id)),
    Field(_CHINA, "ContentPropagator, PropagateID", "the file's TC260 metadata", _missing),
)
