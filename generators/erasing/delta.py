"""Low-rank deltas of a transformer: a file, and how it is applied and removed to the bit.

A delta adds B A to named matrices W (LoRA, arXiv 2106.09685). It is kept as safetensors: `NAME.A`
(r, in) and `NAME.B` (out, r) in float16, and in its metadata the SHA-256 of the weights it
belongs to, what it does, and the recipe and seed that made it. Its digest is the SHA-256 of the
file. Several are applied together, in the order of their digests, so that the sum does not depend
on who asked first; removing puts back the very tensors that were there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

FORMAT = "countermark-delta/1"
_FACTS = ("format", "base", "says", "recipe")


class BadDelta(ValueError):
    """A delta that is altered, malformed, or of another model; the text says which and where."""


@dataclass(frozen=True, eq=False)
class Delta:
    """What is added to a transformer: pairs (r, in), (out, r) by the name of the matrix."""

    base: bytes  # SHA-256 of the weights file it was trained on
    says: str  # what it does, in words: "erases: gun"
    recipe: Mapping[str, object]  # method, steps, rates, seed: what made it
    pairs: Mapping[str, tuple[Tensor, Tensor]]
    digest: bytes  # SHA-256 of its file


def write_delta(
    base: bytes, says: str, recipe: Mapping[str, object], pairs: Mapping[str, tuple[Tensor, Tensor]]
) -> bytes:
    """The file of a delta; the same delta gives the same bytes."""
    if not pairs:
        raise BadDelta(f"a delta that changes nothing ({says})")
    tensors: dict[str, Tensor] = {}
    for name in sorted(pairs):
        a, b = pairs[name]
        if a.ndim != 2 or b.ndim != 2 or len(a) != b.shape[1]:
            raise BadDelta(f"{name}: {tuple(b.shape)} times {tuple(a.shape)} is not a product")
        for side, half in (("A", a.half()), ("B", b.half())):
            if not half.isfinite().all():
                raise BadDelta(f"{name}.{side} holds numbers that are too large, or none")
            tensors[f"{name}.{side}"] = half.contiguous()
    facts = {
        "format": FORMAT,
        "base": base.hex(),
        "says": says,
        "recipe": json.dumps(dict(recipe), sort_keys=True),
    }
    # One entry: safetensors writes several in an order of its own choosing.
    return save(tensors, metadata={"delta": json.dumps(facts, sort_keys=True)})


def read_delta(data: bytes, *, name: str) -> Delta:
    """The delta of a file; raises BadDelta, naming the file."""
    try:
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        facts = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["delta"])
        form, base, says, recipe = (facts[fact] for fact in _FACTS)
        base, recipe = bytes.fromhex(base), json.loads(recipe)
    except (SafetensorError, KeyError, TypeError, ValueError) as e:
        raise BadDelta(f"{name} is not a delta: {e}") from e
    if form != FORMAT:
        raise BadDelta(f"{name} is a delta of format {form!r}, not {FORMAT!r}")
    names = {key.removesuffix(".A").removesuffix(".B") for key in tensors}
    if not names or set(tensors) != {f"{n}.{side}" for n in names for side in "AB"}:
        raise BadDelta(f"{name}: every matrix needs an A and a B")
    pairs = {n: (tensors[f"{n}.A"].float(), tensors[f"{n}.B"].float()) for n in sorted(names)}
    for matrix, (a, b) in pairs.items():
        if a.ndim != 2 or b.ndim != 2 or len(a) != b.shape[1]:
            raise BadDelta(f"{name}: {matrix} holds no product of two matrices")
    return Delta(base, says, recipe, pairs, hashlib.sha256(data).digest())


class Applied:
    """The deltas on one module; replaces the data of its parameters, and can put it back."""

    def __init__(self, module: nn.Module, base: bytes) -> None:
        self._parameters = dict(module.named_parameters())
        self._base = base
        self._original: dict[str, Tensor] = {}
        self.digests: tuple[bytes, ...] = ()

    @torch.no_grad()
    def apply(self, deltas: Sequence[Delta]) -> None:
        """Exactly these deltas from now on, and none that were applied before; or BadDelta."""
        ordered = sorted({delta.digest: delta for delta in deltas}.items())
        for _, delta in ordered:
            self._check(delta)
        self._restore()
        for _, delta in ordered:
            for name, (a, b) in delta.pairs.items():
                weight = self._parameters[name]
                self._original.setdefault(name, weight.data)
                weight.data = weight.data + (b @ a).to(weight)
        self.digests = tuple(digest for digest, _ in ordered)

    def remove(self) -> None:
        """The very tensors that were there before."""
        self.apply(())

    def _restore(self) -> None:
        for name, original in self._original.items():
            self._parameters[name].data = original
        self._original.clear()

    def _check(self, delta: Delta) -> None:
        if delta.base != self._base:
            raise BadDelta(
                f"the delta {delta.says!r} was trained on weights {delta.base.hex()[:16]}..., "
                f"not on {self._base.hex()[:16]}..."
            )
        for name, (a, b) in delta.pairs.items():
            weight = self._parameters.get(name)
            shape = (b.shape[0], a.shape[1])
            if weight is None or tuple(weight.shape) != shape:
                found = None if weight is None else tuple(weight.shape)
                raise BadDelta(f"the delta {delta.says!r} changes {name} {shape}, there is {found}")
