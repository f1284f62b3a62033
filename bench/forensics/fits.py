"""Every fit that the tables need, each made once and kept in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.forensics.fit import (
    draw_views,
    fit_residual,
    fit_spectra,
    residual_scores,
    spectra_numbers,
)
from bench.forensics.looks import Look
from bench.forensics.sources import FAMILIES, Photograph, samples
from bench.forensics.views import Ready, Recipe, prepare
from provenance.forensics.residual import ResidualNet
from provenance.forensics.spectra import SpectraHead

NONE = "none"  # no family left out
MINUTES = 3.0  # of a residual network; twice as long for the one that is shipped
EACH = {"permissive": 6, "all": 2}  # pairs of each photograph and family


@dataclass(frozen=True)
class Fitted:
    """A fit, which scores looks."""

    head: SpectraHead
    net: ResidualNet | None  # None: the spectra alone

    def score(self, look: Look) -> float:
        """The mean of the crops' logits, as the member computes it."""
        with torch.inference_mode():
            total = float(self.head(torch.from_numpy(look.features)).mean())
        if self.net is not None:
            total += float(
                residual_scores(self.net, look.crops.astype(np.float32) / np.float32(255)).mean()
            )
        return total

    def alone(self) -> Fitted:
        """The spectra alone."""
        return Fitted(self.head, None)

    def tensors(self) -> dict[str, Tensor]:
        """What the embedded member loads."""
        assert self.net is not None, "the member has both parts"
        parts = {f"spectra.{name}": t for name, t in self.head.state_dict().items()}
        parts |= {f"residual.{name}": t for name, t in self.net.state_dict().items()}
        parts |= {"sum.weight": torch.ones(2), "sum.bias": torch.zeros(())}
        return {name: tensor.contiguous() for name, tensor in parts.items()}


@dataclass(frozen=True)
class Fits:
    """Makes and remembers fits; `photographs` are those of the train split."""

    photographs: Sequence[Photograph]
    cache: Path

    def chosen(self, who: str) -> list[Photograph]:
        """Those whose licence allows to ship what was fitted to them, or all."""
        return [p for p in self.photographs if who == "all" or p.permissive]

    def ready(self, who: str, recipe: Recipe) -> list[Ready]:
        """The photographs with their aligned counterparts, which must have been drawn."""
        drawn = dict.fromkeys(FAMILIES)
        return prepare(samples(self.chosen(who), drawn, self.cache), recipe)

    def spectra(self, who: str, recipe: Recipe, held: str) -> SpectraHead:
        """The reading of the spectra, without a family."""
        numbers, drawn, family = self._numbers(who, recipe)
        kept = family != held
        return fit_spectra(numbers[kept], drawn[kept])

    def fitted(self, who: str, recipe: Recipe, held: str, *, net: bool = True) -> Fitted:
        """Both parts, or the spectra alone, without a family."""
        head = self.spectra(who, recipe, held)
        return Fitted(head, self._residual(who, recipe, held) if net else None)

    def _numbers(
        self, who: str, recipe: Recipe
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.str_]]:
        kept = self.cache / f"views-{who}-{_slug(recipe)}.npz"
        if not kept.exists():
            ready, parts = self.ready(who, recipe), []
            for number, family in enumerate(FAMILIES):
                rng = np.random.default_rng(number)
                views = draw_views(ready, [family], recipe, each=EACH[who], rng=rng)
                names = np.full(len(views.drawn), family, dtype="U16")
                parts.append((spectra_numbers(views), views.drawn, names))
            columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
            np.savez(kept, numbers=columns[0], drawn=columns[1], family=columns[2])
        found = np.load(kept)
        return found["numbers"], found["drawn"], found["family"]

    def _residual(self, who: str, recipe: Recipe, held: str) -> ResidualNet:
        kept = self.cache / f"residual-{who}-{_slug(recipe)}-{held}.safetensors"
        if not kept.exists():
            families = [family for family in FAMILIES if family != held]
            minutes = MINUTES * (2 if held == NONE else 1)
            made = fit_residual(self.ready(who, recipe), families, recipe, minutes=minutes)
            save_file({n: t.contiguous() for n, t in made.state_dict().items()}, kept)
        net = ResidualNet()
        net.load_state_dict(load_file(kept))
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        net.eval()
        return net


def _slug(recipe: Recipe) -> str:
    return "".join(c for c in recipe.name if c.isalnum())
