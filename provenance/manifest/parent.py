"""The picture an edit began with: its manifests, kept whole, and what they were worth then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from provenance.manifest.container import Scan
from provenance.manifest.errors import Unsupported
from provenance.manifest.jumbf import MANIFEST, format_box, parse_superbox


@dataclass(frozen=True)
class Parent:
    """The ingredient assertion about the parent, and the manifests that go along."""

    ingredient: dict[str, Any]
    manifests: tuple[bytes, ...]  # as they were in the parent's store, in its order


def parent_of(found: Scan, results: Mapping[str, Any]) -> Parent:
    """The parent in a scanned file, with the validation results of the official reader.

    Raises Malformed for a store that cannot be kept, Unsupported for one in compressed form.
    """
    ingredient: dict[str, Any] = {"relationship": "parentOf", "dc:format": found.kind.value}
    if found.store is None:
        return Parent(ingredient, ())
    manifests = parse_superbox(found.store).children
    if any(manifest.kind != MANIFEST for manifest in manifests):
        raise Unsupported("a parent whose manifests are compressed or updated is not kept")
    active = manifests[-1]
    url = f"self#jumbf=/c2pa/{active.label}"
    signature = active.child("c2pa.signature")
    ingredient["validationResults"] = _results(results)
    ingredient["activeManifest"] = {"url": url, "hash": sha256(active.payload).digest()}
    ingredient["claimSignature"] = {
        "url": f"{url}/c2pa.signature",
        "hash": sha256(signature.payload).digest(),
    }
    return Parent(ingredient, tuple(format_box(b"jumb", m.payload) for m in manifests))


def _results(results: Mapping[str, Any]) -> dict[str, Any]:
    """Codes and places, without the library's prose (C2PA 2.4, section 15.2)."""
    kept = {}
    for name in ("success", "informational", "failure"):
        rows = results.get("activeManifest", {}).get(name, [])
        kept[name] = [{key: row[key] for key in ("code", "url") if key in row} for row in rows]
    return {"activeManifest": kept}
