"""The drawings that all tables share, made once and kept in a folder as PNG and JSON.

Captions and seeds were not fitted to. The folder's name carries the weights' digests, so that
drawings of other weights are never taken for these. All are marked under one public key, which is
good for nothing but this bench: a mark of it proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.icons import prompts
from generators.catalog import Generator
from generators.sampling import Request, Unerased, Unmarked, draw
from provenance.image import Pixels, encode_png, read_image
from provenance.robustness.attacks import Attack, find
from provenance.watermark.keys import Key, KeyState
from workers.generate import BATCH, How, WeakMark, generate, unerased
from workers.marking import Kind, Marker

FIRST_SEED = 9000

Made = tuple[bytes, dict[str, Any]]  # a PNG file, and the facts that are written beside it


@dataclass(frozen=True, eq=False)
class Drawing:
    """One drawing as its file holds it, and the tokens (h, w) that it was decoded from."""

    number: int
    thing: str
    prompt: str
    seed: int
    strength: float  # nats of lexical bias, 0 without a mark
    tokens: NDArray[np.int64]
    pixels: Pixels


@dataclass(frozen=True)
class Album:
    """The drawings given out for the first wishes, and how many wishes were refused."""

    drawings: tuple[Drawing, ...]
    refused: int

    def __str__(self) -> str:
        refused = (
            f" ({self.refused} more refused: they cannot carry the mark)" if self.refused else ""
        )
        return f"{len(self.drawings)} drawings{refused}"


def numbered_key(number: int) -> Key:
    """A public key; keys of two numbers have independent coins."""
    secret = blake2b(number.to_bytes(8, "big"), person=b"countermarkbench").digest()
    return Key(secret[:32], "bench", 1, KeyState.ACTIVE, datetime(2026, 1, 1, tzinfo=UTC))


def bench_key() -> Key:
    """The key of all marked drawings."""
    return numbered_key(0)


def marked(
    folder: Path,
    generator: Generator,
    marker: Marker,
    kind: Kind,
    count: int,
    *,
    survive: str | None = None,
) -> Album:
    """The first `count` wishes drawn as `countermark generate` does, refusals left out."""
    attack = find(survive) if survive else None

    def make(requests: Sequence[Request]) -> list[Made]:
        return _marked_or_refused(generator, marker, requests, kind, attack)

    name = f"{kind.value}-survives-{survive}" if survive else kind.value
    return _album(_folder(folder, generator, name), count, make)


def unmarked(folder: Path, generator: Generator, count: int) -> Album:
    """The same wishes without a mark."""

    def make(requests: Sequence[Request]) -> list[Made]:
        hooks = [Unmarked()] * len(requests)
        drawn = draw(
            generator.model,
            generator.codec,
            requests,
            erasures=[Unerased()] * len(requests),
            watermarks=hooks,
        )
        pictures = [(d.pixels.transpose(2, 0, 1) / 255).astype(np.float32) for d in drawn]
        return [
            (encode_png(picture), {"strength": 0.0, "tokens": d.tokens.tolist()})
            for picture, d in zip(pictures, drawn, strict=True)
        ]

    return _album(_folder(folder, generator, "unmarked"), count, make)


def _marked_or_refused(
    generator: Generator,
    marker: Marker,
    requests: Sequence[Request],
    kind: Kind,
    survive: Attack | None,
) -> list[Made]:
    try:
        made = generate(generator, marker, requests, How(kind, bench_key(), unerased, survive))
    except WeakMark as e:
        if len(requests) == 1:
            return [(b"", {"refused": str(e)})]
        return [_marked_or_refused(generator, marker, [r], kind, survive)[0] for r in requests]
    return [(m.file, {"strength": m.strength, "tokens": m.drawn.tokens.tolist()}) for m in made]


def _folder(folder: Path, generator: Generator, kind: str) -> Path:
    weights = generator.spec.transformer.digest + generator.spec.codec.digest
    digest = blake2b(weights, digest_size=6).hexdigest()
    return folder / f"{generator.name}-{digest}" / kind


def _album(folder: Path, count: int, make: Callable[[Sequence[Request]], list[Made]]) -> Album:
    """Load what is there, make what is missing, eight at a time; facts are written last."""
    folder.mkdir(parents=True, exist_ok=True)
    wishes = prompts(count)
    missing = [n for n in range(count) if not (folder / f"{n:05}.json").exists()]
    for start in range(0, len(missing), BATCH):
        numbers = missing[start : start + BATCH]
        requests = [Request(wishes[n][1], FIRST_SEED + n) for n in numbers]
        for number, (png, facts) in zip(numbers, make(requests), strict=True):
            (folder / f"{number:05}.png").write_bytes(png)
            waiting = folder / f"{number:05}.json.part"
            waiting.write_text(json.dumps(facts))
            waiting.rename(folder / f"{number:05}.json")
    loaded = [_load(folder, n, *wishes[n]) for n in range(count)]
    drawings = tuple(drawing for drawing in loaded if drawing is not None)
    return Album(drawings, count - len(drawings))


def _load(folder: Path, number: int, thing: str, prompt: str) -> Drawing | None:
    """None for a wish that was refused."""
    facts = json.loads((folder / f"{number:05}.json").read_text())
    if "refused" in facts:
        return None
    path = folder / f"{number:05}.png"
    return Drawing(
        number=number,
        thing=thing,
        prompt=prompt,
        seed=FIRST_SEED + number,
        strength=facts["strength"],
        tokens=np.array(facts["tokens"], np.int64),
        pixels=read_image(path.read_bytes(), name=str(path)),
    )
