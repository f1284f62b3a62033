"""What goes between a worker and the confined child that reads uploads, as plain values.

What comes from the child is parsed as strictly as anything from outside, for a child that was
broken into can answer whatever it likes.
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import Any

import numpy as np

from provenance.fingerprint import Fingerprint
from provenance.image import Pixels
from provenance.keys import KeyState
from provenance.ledger.record import Mark
from provenance.manifest import finding as manifests
from provenance.manifest.parent import Parent
from provenance.verdict.finding import (
    Check,
    ClassifierState,
    Finding,
    ManifestState,
    MarkState,
)
from provenance.watermark.keys import Key
from workers.examine import Numbered, Seen

LONGEST, MOST = 300, 20  # characters of a text of a manifest, and texts of a list, that are told
_TEXTS = ("label", "generator", "model", "signer")
_LISTS = ("actions", "source_types", "ingredients")


def format_key(key: Key) -> dict[str, Any]:
    """A mark key as it is handed to this process."""
    return {
        "secret": key.secret.hex(),
        "tenant": key.tenant,
        "epoch": key.epoch,
        "state": key.state.value,
        "created": key.created.isoformat(),
    }


def parse_key(row: dict[str, Any]) -> Key:
    """The key of `format_key`."""
    return Key(
        bytes.fromhex(row["secret"]),
        row["tenant"],
        row["epoch"],
        KeyState(row["state"]),
        datetime.fromisoformat(row["created"]),
    )


def format_seen(seen: Seen) -> dict[str, Any]:
    """What a file shows, as plain values."""
    looks = seen.looks
    return {
        "file": seen.file.hex(),
        "pixels": seen.pixels.hex(),
        "looks": [looks.hash.hex(), looks.mirrored.hex(), looks.quality],
        "manifest": _format_finding(seen.manifest),
        "label": seen.label,
        "mark": _format_finding(seen.mark),
        "number": _format_number(seen.number),
        "classifier": None if seen.classifier is None else _format_finding(seen.classifier),
    }


def parse_seen(row: dict[str, Any], data: bytes) -> Seen:
    """What this process says that a file shows; raises ValueError, KeyError or TypeError.

    The digest is computed here anew: that much need not be believed.
    """
    hash_, mirrored, quality = row["looks"]
    looks = Fingerprint(_bytes(hash_), _bytes(mirrored), min(max(int(quality), 0), 100))
    label = None if row["label"] is None else str(row["label"])
    said = row["classifier"]
    return Seen(
        sha256(data).digest(),
        _bytes(row["pixels"]),
        looks,
        Finding(ManifestState(row["manifest"]["state"]), _parse_check(row["manifest"])),
        label,
        Finding(MarkState(row["mark"]["state"]), _parse_check(row["mark"])),
        _parse_number(row["number"]),
        None if said is None else Finding(ClassifierState(said["state"]), _parse_check(said)),
    )


def format_reading(found: manifests.Finding) -> dict[str, Any] | None:
    """What a manifest says and how it was read, as plain values; None without a manifest."""
    if found.state is manifests.State.ABSENT:
        return None
    said = found.statement
    return {
        **_format_opinion(found.state, found.reason, found.detail),
        "official": _format_opinion(*vars(found.official).values()),
        "independent": _format_opinion(*vars(found.independent).values()),
        "statement": None if said is None else _format_statement(said),
    }


def _format_opinion(
    state: manifests.State, reason: manifests.Reason | None, detail: str
) -> dict[str, Any]:
    return {"state": state, "reason": reason, "detail": detail[:LONGEST]}


def _format_statement(said: manifests.Statement) -> dict[str, Any]:
    texts = {name: getattr(said, name)[:LONGEST] for name in _TEXTS}
    lists = {name: [one[:LONGEST] for one in getattr(said, name)[:MOST]] for name in _LISTS}
    when = None if said.when is None else said.when.isoformat()
    bindings = [one.algorithm[:LONGEST] for one in said.bindings[:MOST]]
    return {**texts, **lists, "when": when, "bindings": bindings}


def parse_reading(row: Any) -> dict[str, Any] | None:
    """The plain values of `format_reading`; raises ValueError, KeyError or TypeError."""
    if row is None:
        return None
    said = row["statement"]
    return {
        **_parse_opinion(row),
        "official": _parse_opinion(row["official"]),
        "independent": _parse_opinion(row["independent"]),
        "statement": None if said is None else _parse_statement(said),
    }


def _parse_opinion(row: Any) -> dict[str, Any]:
    reason = None if row["reason"] is None else manifests.Reason(row["reason"]).value
    state = manifests.State(row["state"]).value
    return {"state": state, "reason": reason, "detail": _text(row["detail"])}


def _parse_statement(row: Any) -> dict[str, Any]:
    texts = {name: _text(row[name]) for name in _TEXTS}
    lists = {name: [_text(one) for one in row[name][:MOST]] for name in (*_LISTS, "bindings")}
    when = None if row["when"] is None else datetime.fromisoformat(row["when"]).isoformat()
    return {**texts, **lists, "when": when}


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise ValueError(f"a text of at most {LONGEST} characters")
    return value


def _parse_number(row: Any) -> Numbered | None:
    if row is None:
        return None
    scheme, key, number = row
    return Numbered(Mark(str(scheme), str(key)), int(number))


def _format_number(carried: Numbered | None) -> list[Any] | None:
    if carried is None:
        return None
    return [carried.mark.scheme, carried.mark.key, carried.number]


def _format_finding(finding: Finding[Any]) -> dict[str, Any]:
    return {"state": finding.state.value, **vars(finding.check)}


def _parse_check(row: dict[str, Any]) -> Check:
    return Check(row["version"], row["quantity"], row["value"], row["threshold"], row["caveat"])


def _bytes(text: str) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != 32:
        raise ValueError(f"32 bytes, not {len(value)}")
    return value


def format_parent(parent: Parent) -> dict[str, Any]:
    """The parent of a manifest, as plain values."""
    ingredient = json.dumps(parent.ingredient, default=lambda value: {"hex": value.hex()})
    return {"ingredient": ingredient, "manifests": [one.hex() for one in parent.manifests]}


def parse_parent(row: dict[str, Any]) -> Parent:
    """The parent of `format_parent`; raises ValueError, KeyError or TypeError."""

    def revive(value: dict[str, Any]) -> Any:
        return bytes.fromhex(value["hex"]) if value.keys() == {"hex"} else value

    ingredient = json.loads(row["ingredient"], object_hook=revive)
    return Parent(dict(ingredient), tuple(bytes.fromhex(one) for one in row["manifests"]))


def format_pixels(pixels: Pixels) -> bytes:
    """Pixels (3, H, W) on the 8-bit grid, row by row."""
    return np.rint(pixels.transpose(1, 2, 0) * 255).astype(np.uint8).tobytes()


def parse_pixels(data: bytes, *, height: int, width: int) -> Pixels:
    """The pixels (3, H, W) of `format_pixels`; raises ValueError."""
    rows = np.frombuffer(data, np.uint8).reshape(height, width, 3)
    return np.ascontiguousarray(rows.transpose(2, 0, 1), np.float32) / np.float32(255)
