"""Requests in the rows of one cache of keys and values, each at a place of its own.

A request takes two rows, with its prompt and without it, and one a branch against; when it leaves,
its rows are free for the next. The cache is allocated once. Rows without a prompt see as much of
their prefix as their prompt does of its own, as published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from generators.gpt import Attend, Conditions, LlamaGenTransformer, attend_before, causal
from generators.interface import Full, Prompt, Proposal, Proposals, Seats, Site, Unsupported
from generators.raster import KERNEL_ROWS
from generators.stepping import Prepare, allocate, plain, static_rows


@dataclass(eq=False)
class _Guest:
    """A request under way; `first` are its logits (rows, 1, V) after the prefix, if not used."""

    seat: int
    rows: tuple[int, ...]
    first: Tensor | None
    done: int = 0


class LlamaGenSeats:
    """Requests that join and leave between steps; a request's logits are the same to the last bit
    whatever is drawn beside it.
    """

    def __init__(
        self,
        transformer: LlamaGenTransformer,
        asking: Callable[[Sequence[str]], Conditions],
        rows: int,
        prepare: Prepare | None = None,
    ) -> None:
        self._model, self._asking = transformer, asking
        self.rows = allocate(transformer, static_rows(rows) if prepare else rows)
        self._step = prepare(transformer, self.rows) if prepare else None
        tokens = transformer.config.side**2
        self._kept = self.rows.tokens.new_zeros(rows // 2, tokens)
        self._free, self._seats = list(range(rows)), list(range(rows // 2))
        self._guests: list[_Guest] = []
        self._padded = False

    def join(self, prompts: Sequence[Prompt]) -> None:
        """Further requests, after those under way; raises Full and Unsupported, and then none."""
        if any(prompt.without for prompt in prompts):
            raise Unsupported("LlamaGen's text states cannot have phrases projected out of them")
        needed = [2 + len(prompt.against) for prompt in prompts]
        if sum(needed) > len(self._free):
            raise Full(f"{sum(needed)} rows are needed, and {len(self._free)} are free")
        conditions = self._conditions(prompts)
        taken = self._free[: sum(needed)]
        logits = self._begin(conditions, taken)
        self._free = self._free[sum(needed) :]
        places = iter(taken)
        for part in torch.split(logits, needed):
            guest = _Guest(self._seats.pop(0), tuple(next(places) for _ in part), part)
            self._kept[guest.seat] = 0
            self._guests.append(guest)

    def _conditions(self, prompts: Sequence[Prompt]) -> Conditions:
        """Of all rows of some requests: with the prompt, without it, and of every branch."""
        texts = [prompt.text for prompt in prompts]
        texts += [text for prompt in prompts for text in prompt.against]
        prefix, valid = self._asking(texts)
        empty = self._model.cls_embedding.empty(len(prompts))
        branch, order, alike = len(prompts), list[int](), list[int]()
        for number, prompt in enumerate(prompts):
            against = range(branch, branch + len(prompt.against))
            order += [number, len(prefix) + number, *against]
            alike += [number, number, *against]
            branch += len(prompt.against)
        return Conditions(
            torch.cat([prefix, empty])[order], None if valid is None else valid[alike]
        )

    def _begin(self, conditions: Conditions, taken: Sequence[int]) -> Tensor:
        """Logits (rows, 1, V) after the prefixes, each computed once whatever rows share it."""
        (prefix, valid), which = _shared(conditions)
        rows, places = torch.tensor(taken, device=prefix.device), prefix.shape[1]
        seen = None if valid is None else causal(valid, places)

        def attend(cache: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            cache[:, rows, :, :places] = torch.stack([k[which], v[which]])
            return attend_before(seen, q, k, v)

        attends: list[Attend] = [partial(attend, cache) for cache in self.rows.cache]
        logits = self._model.advance(prefix, self._model.rotation[:places], attends)
        if conditions.valid is not None:
            self.rows.valid[rows, :places] = conditions.valid
            self._padded = True
        # A step of one shape computes these rows before they have a token: beyond the prefix.
        self.rows.places[rows] = places
        return logits[which]

    def propose(self) -> Proposals:
        """Where each request under way samples next, in the order they joined."""
        steps, done = self._model.config.side**2, [guest.done for guest in self._guests]
        going = [guest for guest in self._guests if guest.first is None]
        stepped = iter(self._stepped(going))
        parts = [next(stepped) if guest.first is None else guest.first for guest in self._guests]
        positions = torch.split(torch.tensor(done, device=self._kept.device), 1)
        sites = [
            Site("image", step, steps, None, position)
            for step, position in zip(done, positions, strict=True)
        ]
        return Proposals(sites, torch.cat(parts))

    def _stepped(self, going: Sequence[_Guest]) -> Sequence[Tensor]:
        """Logits (rows, 1, V) of each request after its last token."""
        if not going:
            return []
        rows = [row for guest in going for row in guest.rows]
        counts = [len(guest.rows) for guest in going]
        if self._step is not None:
            return torch.split(self._step()[rows], counts)
        before = self._model.config.prefix - 1
        places = {row: before + guest.done for guest in going for row in guest.rows}
        logits = plain(self._model, self.rows, places, padded=self._padded)
        order = {row: number for number, row in enumerate(sorted(rows))}
        return torch.split(logits[[order[row] for row in rows]], counts)

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        """Goes on from what was drawn, which the model knows how to continue."""
        tensor = partial(torch.tensor, device=self._kept.device)
        guests = self._guests
        seats, done = tensor([g.seat for g in guests]), tensor([g.done for g in guests])
        self._kept[seats, done] = kept[:, 0].to(self._kept)
        for guest in guests:
            guest.first, guest.done = None, guest.done + 1
        rows = tensor([row for guest in guests for row in guest.rows])
        owners = tensor([n for n, guest in enumerate(guests) for _ in guest.rows])
        before = self._model.config.prefix - 1
        self.rows.tokens[rows] = drawn[:, 0].to(self._kept)[owners]
        self.rows.places[rows] = (done + 1 + before)[owners]

    def tokens(self) -> Tensor:
        """The tokens kept, (B, h, w); 0 where none is chosen yet."""
        side = self._model.config.side
        return self._kept[[guest.seat for guest in self._guests]].reshape(-1, side, side)

    def leave(self, numbers: Sequence[int]) -> None:
        """These requests, counted in the order they joined, are under way no more."""
        gone = [self._guests[number] for number in numbers]
        self._guests = [guest for guest in self._guests if guest not in gone]
        self._free = sorted([*self._free, *(row for guest in gone for row in guest.rows)])
        self._seats = sorted([*self._seats, *(guest.seat for guest in gone)])


class Batch:
    """A run of requests that join together and leave together."""

    def __init__(self, seats: Seats, prompts: Sequence[Prompt]) -> None:
        seats.join(prompts)
        self._seats, self._rows = seats, [2 + len(prompt.against) for prompt in prompts]
        self._more = True

    def propose(self) -> Proposal | None:
        if not self._more:
            return None
        sites, logits = self._seats.propose()
        parts = torch.split(logits, self._rows)
        told = torch.stack([part[:2] for part in parts], 1)
        self._more = sites[0].step + 1 < sites[0].steps
        return Proposal(sites[0], told, torch.cat([part[2:] for part in parts]))

    def commit(self, drawn: Tensor, kept: Tensor) -> None:
        self._seats.commit(drawn, kept)

    def tokens(self) -> Tensor:
        return self._seats.tokens()


def _shared(conditions: Conditions) -> tuple[Conditions, Tensor]:
    """Unlike conditions once, filled up to a multiple of KERNEL_ROWS; and which each row has."""
    (prefix, valid), known, rows = conditions, dict[bytes, int](), list[int]()
    for row, vectors in enumerate(prefix):
        told = vectors.float().numpy(force=True).tobytes()
        told += b"" if valid is None else valid[row].numpy(force=True).tobytes()
        rows.append(known.setdefault(told, len(known)))
    firsts = [rows.index(number) for number in range(len(known))]
    firsts += firsts[-1:] * (-len(firsts) % KERNEL_ROWS)
    some = Conditions(prefix[firsts], None if valid is None else valid[firsts])
    return some, torch.tensor(rows, device=prefix.device)
