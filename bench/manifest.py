"""Measure the manifest: bytes it adds, and milliseconds to sign and to read.

    python -m bench.manifest [--side 1024] [--rounds 200]

prints one Markdown table. Signing counts from the encoded file to the signed one, with a key in
memory. Reading counts both readers, and each alone. Times are by the clock and, in brackets, of the
processor: on a busy machine only the latter mean something.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from time import perf_counter, process_time
from uuid import uuid4

import numpy as np
from PIL import Image

from bench.ledger import cpu_name
from provenance.manifest.claim import Claim, Model
from provenance.manifest.container import Kind
from provenance.manifest.finding import Binding, State
from provenance.manifest.independent import judge
from provenance.manifest.official import library_version
from provenance.manifest.read import Trust, open_trust, read, read_parent
from provenance.manifest.write import Signed, sign
from provenance.pki import (
    TEST_ORGANIZATION,
    FileSigner,
    issue_authority,
    issue_leaf,
    make_root,
    pem,
)

ENCODINGS: dict[Kind, dict[str, str | int]] = {
    Kind.PNG: {"format": "PNG"},
    Kind.JPEG: {"format": "JPEG", "quality": 90},
    Kind.WEBP: {"format": "WEBP", "quality": 90},
}


@dataclass(frozen=True)
class Bench:
    """A test authority, with one signer below it and one below an authority between."""

    trust: Trust
    direct: FileSigner
    between: FileSigner
    now: datetime


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args(arguments)
    bench = prepare(datetime.now(UTC).replace(microsecond=0))
    load = os.getloadavg()[0]
    print(f"{bench.now:%Y-%m-%d %H:%M} UTC, {cpu_name()}, load {load:.1f}, {library_version()}\n")
    print(f"Pictures of {options.side} x {options.side}, medians of {options.rounds}:\n")
    print("| file | KB | manifest, bytes | with an authority between | of an edit of a signed one "
          "| sign, ms | read by both, ms | library alone | second reader alone |")  # fmt: skip
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for kind in Kind:
        print(row(bench, kind, options.side, options.rounds))


def prepare(now: datetime) -> Bench:
    root = make_root(TEST_ORGANIZATION, now=now)
    authority = issue_authority(root, TEST_ORGANIZATION, now=now)
    leaf = issue_leaf(root, TEST_ORGANIZATION, now=now)
    below = issue_leaf(authority, TEST_ORGANIZATION, now=now)
    return Bench(
        open_trust(pem([root.certificate]), now=now),
        FileSigner((leaf.certificate,), leaf.key),
        FileSigner((below.certificate, authority.certificate), below.key),
        now,
    )


def row(bench: Bench, kind: Kind, side: int, rounds: int) -> str:
    """One container's line of the table."""
    plain = encode(picture(side), kind)
    signed = signed_by(bench, plain, bench.direct)
    longer = signed_by(bench, plain, bench.between)
    parent = read_parent(signed.file, bench.trust)
    edit = sign(plain, claim(bench.now), bench.direct, parent=parent)
    for one in (signed, longer, edit):
        assert read(one.file, bench.trust, now=bench.now).state is State.TRUSTED, kind
    file = signed.file
    times = (
        median(lambda: signed_by(bench, plain, bench.direct), rounds),
        median(lambda: read(file, bench.trust, now=bench.now), rounds),
        median(lambda: bench.trust.official.judge(file), rounds),
        median(lambda: judge(file, bench.trust.anchors, now=bench.now), rounds),
    )
    added = [len(one.file) - len(plain) for one in (signed, longer, edit)]
    cells = [kind.name, f"{len(plain) / 1000:.0f}", *(f"{size:,}" for size in added)]
    return f"| {' | '.join([*cells, *times])} |"


def signed_by(bench: Bench, plain: bytes, signer: FileSigner) -> Signed:
    return sign(plain, claim(bench.now), signer)


def claim(now: datetime) -> Claim:
    """What is said of a drawing; the value of its mark is as long as a real one's."""
    mark = Binding("countermark.lexical.1", b"local.1.9f31c2aa:list-3")
    looks = Binding("countermark.pdq1", bytes(32))
    return Claim(uuid4(), now, Model("icons-128", "0.1.0", bytes(32)), mark, looks)


def picture(side: int) -> Image.Image:
    """Soft shapes with a little grain: what a photograph weighs, not what noise weighs."""
    rng = np.random.default_rng(1)
    soft = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).resize((side, side))
    grain = rng.normal(0, 4, (side, side, 3))
    return Image.fromarray((np.asarray(soft) + grain).clip(0, 255).astype(np.uint8))


def encode(shown: Image.Image, kind: Kind) -> bytes:
    file = BytesIO()
    shown.save(file, **ENCODINGS[kind])  # type: ignore[arg-type]  # Pillow types them one by one
    return file.getvalue()


def median(act: Callable[[], object], rounds: int) -> str:
    """Milliseconds of one act: by the clock, and of the processor."""
    taken, worked = [], []
    for _ in range(rounds):
        start, started = perf_counter(), process_time()
        act()
        taken.append((perf_counter() - start) * 1000)
        worked.append((process_time() - started) * 1000)
    return f"{statistics.median(taken):.1f} ({statistics.median(worked):.1f})"


if __name__ == "__main__":
    main()
