"""Pictures of one model that need not begin together: requests join between steps.

A request's tokens are the same alone, in a batch, and joined late. Every step is the one of the
sampling loop, with the same order, and every picture has an erasure and a mark of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from generators.interface import Codec, DiscreteModel, Joinable, Prompt
from generators.sampling import (
    Drawn,
    Erasure,
    Request,
    Watermark,
    check_together,
    pictures,
    step,
)


class CannotJoin(ValueError):
    """A model whose pictures are drawn a batch at a time; the text says which."""


@dataclass(frozen=True)
class _Going:
    """A request under way; `rows` are those it takes."""

    number: int
    request: Request
    erasure: Erasure
    watermark: Watermark
    rng: torch.Generator
    rows: int


class Drawing:
    """Requests of one model under way, in so many rows, which are allocated here.

    A request takes two, and one more for every branch that it is drawn against. What a hook of a
    request raises ends the drawing: it cannot be gone on with.
    """

    @torch.inference_mode()
    def __init__(self, model: DiscreteModel, codec: Codec, *, rows: int) -> None:
        """Raises CannotJoin."""
        if not isinstance(model, Joinable):
            raise CannotJoin(
                f"{type(model).__name__} draws a batch at a time: nothing can join it under way"
            )
        self._seats, self._codec, self._rows = model.seats(rows), codec, rows
        self._going: list[_Going] = []
        self._joined = 0

    @property
    def free(self) -> int:
        """Rows that nobody has."""
        return self._rows - sum(one.rows for one in self._going)

    @property
    def going(self) -> list[int]:
        """Numbers of the requests under way, in the order they joined."""
        return [one.number for one in self._going]

    @torch.inference_mode()
    def join(
        self,
        requests: Sequence[Request],
        *,
        erasures: Sequence[Erasure],
        watermarks: Sequence[Watermark],
    ) -> list[int]:
        """The numbers of requests that are drawn from the next step on, counted from 0.

        Raises BadRequest, Unsupported, and Full if there is no room for all; then none joins.
        """
        check_together(requests, erasures, watermarks)
        prompts = [
            Prompt(request.prompt, erasure.without, erasure.against)
            for request, erasure in zip(requests, erasures, strict=True)
        ]
        self._seats.join(prompts)
        for request, erasure, watermark, prompt in zip(
            requests, erasures, watermarks, prompts, strict=True
        ):
            rng = torch.Generator().manual_seed(request.seed)
            rows = 2 + len(prompt.against)
            going = _Going(self._joined, request, erasure, watermark, rng, rows)
            self._going.append(going)
            self._joined += 1
        return self.going[-len(requests) :]

    @torch.inference_mode()
    def step(self) -> list[tuple[int, Drawn]]:
        """Draw a token of every request; those now complete, with their numbers, have left."""
        if not self._going:
            return []
        sites, logits = self._seats.propose()
        parts = torch.split(logits.cpu(), [one.rows for one in self._going])
        chosen = [
            step(site, part, one.request, one.erasure, one.watermark, one.rng)
            for site, part, one in zip(sites, parts, self._going, strict=True)
        ]
        self._seats.commit(*(torch.stack([each[part] for each in chosen]) for part in (0, 1)))
        done = [place for place, site in enumerate(sites) if site.step + 1 == site.steps]
        if not done:
            return []
        tokens, ended = self._seats.tokens()[done], [self._going[place] for place in done]
        self._leave(done)
        made = pictures(self._codec, [one.request for one in ended], tokens)
        return [(one.number, drawn) for one, drawn in zip(ended, made, strict=True)]

    def drop(self, numbers: Collection[int]) -> None:
        """These requests are drawn no further, if they still are under way."""
        self._leave([place for place, one in enumerate(self._going) if one.number in numbers])

    def _leave(self, places: Sequence[int]) -> None:
        self._seats.leave(places)
        self._going = [one for place, one in enumerate(self._going) if place not in places]
