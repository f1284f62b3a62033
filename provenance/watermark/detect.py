"""Whether a picture carries a mark of these keys, and how surely.

Every view of the picture (as it is, shifted, resized, ...) is read by a codec; every key and list
of every scheme is tried on every view with one test; the best p is multiplied by the number of all
trials. Detected means that this happens by chance, over the keys, with at most the threshold's
probability to a picture made without them. It does not say who made the picture: a stolen list or
a copied mark looks the same. Not detected means "not with these keys", never "not generated".
A scheme whose marks may carry a number is asked twice, with and without the units that carry it,
and both count; the number is read once, under what was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from provenance.watermark.colouring import Colouring
from provenance.watermark.errors import BadReading, CodecMismatch
from provenance.watermark.family import Family, Trials
from provenance.watermark.keys import Key, KeyState
from provenance.watermark.payload import NO_NUMBER, Message, Payload, only
from provenance.watermark.scheme import Lens, Scheme
from provenance.watermark.statistics import Evidence, Stakes, Test, stake, statistics, weigh

THRESHOLD = 1e-6
# Chernoff's bound is at most some 30 times the exact p here, so a view whose bound is further
# above the best p so far cannot be better and is spared the exact computation.
SLACK = 32.0


class Reading(Protocol):
    """Tokens (h, w) int64 read from pixels, and how clearly each won, (h, w) float >= 0."""

    @property
    def tokens(self) -> NDArray[np.int64]: ...

    @property
    def margin(self) -> NDArray[np.floating]: ...


@dataclass(frozen=True, eq=False)
class View:
    """A picture as one codec reads it under one geometry: one reading a scale, coarse to fine."""

    codec_digest: bytes
    geometry: str  # "as it is", "shift 3,4", ...
    readings: tuple[Reading, ...]

    @property
    def lens(self) -> Lens:
        """What it was read through."""
        return Lens(self.codec_digest, len(self.readings))


class Outcome(StrEnum):
    DETECTED = "detected"
    INCONCLUSIVE = "inconclusive"
    NOT_DETECTED = "not detected"


class Reason(StrEnum):
    """Why nothing can be concluded."""

    NOTHING_READ = "the picture is smaller than one token"
    TOO_FEW_CODES = "too few distinct codes: even a full mark would not reach the threshold"


@dataclass(frozen=True)
class Match:
    """Under what a picture's tokens fit best."""

    scheme: str
    model: str
    key_id: str
    key_state: KeyState
    list_index: int
    geometry: str
    evidence: Evidence
    message: Message | None = None  # None: marks of this scheme carry no number

    @property
    def number(self) -> int | None:
        """The number that the mark carries; None if it has none, or none that can be read."""
        read = None if self.message is None else self.message.number
        return None if read == NO_NUMBER else read


@dataclass(frozen=True)
class Finding:
    """The outcome of one search, with its numbers; `match` is set if and only if detected."""

    outcome: Outcome
    reason: Reason | None
    test: Test
    p: float  # the smallest of the family, for one trial
    corrected: float  # for the whole family
    family: Family
    threshold: float
    units: int  # independent coins in the view with the most
    match: Match | None

    @property
    def caveat(self) -> str:
        """What the outcome does not mean."""
        match self.outcome:
            case Outcome.DETECTED:
                return (
                    "carries our mark, origin unconfirmed: whoever copied or stole the mark "
                    "can put it on any picture; ask for a manifest, a record or a fingerprint"
                )
            case Outcome.INCONCLUSIVE:
                return "neither for nor against a mark"
            case Outcome.NOT_DETECTED:
                return "not with these keys; says nothing about how the picture was made"
        assert_never(self.outcome)


class Bank:
    """The coins of all lists of some keys under one scheme, tossed when a view has their units."""

    def __init__(
        self, scheme: Scheme, keys: Sequence[Key], *, payload: Payload | None = None
    ) -> None:
        if not keys:
            raise ValueError(f"scheme {scheme.name} is searched without a key")
        self.scheme = scheme
        self.payload = payload
        self.keys = tuple(keys)
        self.owners = [(key, index) for key in self.keys for index in range(scheme.lists)]
        self._coins = np.zeros((len(self.owners), scheme.joint.units), bool)
        self._tossed = np.zeros(scheme.joint.units, bool)

    def coins(self, units: NDArray[np.integer]) -> NDArray[np.bool_]:
        """The coins of every owner and unit, of which at least those of these units are tossed."""
        fresh = units[~self._tossed[units]]
        for row, (key, index) in enumerate(self.owners if len(fresh) else ()):
            self._coins[row, fresh] = self.scheme.coins_at(key, index, fresh)
        self._tossed[fresh] = True
        return self._coins

    def trials(self, views: int) -> Trials:
        return Trials(self.scheme.model, self.scheme.name, len(self.keys), self.scheme.lists, views)

    def stake(self, test: Test, view: View) -> Stakes:
        """The view's stakes over all scales, in the units that are asked for presence."""
        return self.asked(self.all_stakes(test, view))

    def message(self, test: Test, view: View, owner: int) -> Message | None:
        """The number in a view of a mark found under this owner's coins."""
        if self.payload is None:
            return None
        return self.payload.read(*self.owners[owner], self.all_stakes(test, view))

    def asked(self, stakes: Stakes) -> Stakes:
        """Of all stakes of a view, those in the units that are asked for presence."""
        return stakes

    def all_stakes(self, test: Test, view: View) -> Stakes:
        """The view's stakes over all scales and units: the same for all schemes of a colouring."""
        self.scheme.check_codec(view.codec_digest)
        if len(view.readings) != self.scheme.scales:
            raise BadReading(f"{len(view.readings)} readings for {self.scheme.scales} scales")
        codes = self.scheme.colouring.codes
        for reading in view.readings:
            if (
                reading.tokens.size
                and not 0 <= reading.tokens.min() <= reading.tokens.max() < codes
            ):
                raise BadReading(f"tokens must lie in 0..{codes - 1}")
        tokens = [r.tokens.ravel() + s * codes for s, r in enumerate(view.readings)]
        margin = [r.margin.ravel() for r in view.readings]
        worth = None
        if self.scheme.worth:
            worth = np.repeat(self.scheme.worth, [len(one) for one in tokens])
        return stake(
            test, self.scheme.joint, np.concatenate(tokens), np.concatenate(margin), worth=worth
        )


class GatedBank(Bank):
    """The marks of a bank that carry a number: asked only in the units that do not carry it."""

    def __init__(self, bank: Bank) -> None:
        if bank.payload is None:
            raise ValueError(f"marks of scheme {bank.scheme.name} carry no number")
        self._quiet = ~bank.payload.carrying
        self.scheme, self.payload = bank.scheme, bank.payload
        self.keys, self.owners = bank.keys, bank.owners
        self._coins, self._tossed = bank._coins, bank._tossed

    def trials(self, views: int) -> Trials:
        return replace(super().trials(views), scheme=f"{self.scheme.name} with a number")

    def asked(self, stakes: Stakes) -> Stakes:
        return only(stakes, self._quiet)


def detect(
    views: Iterable[View],
    banks: Sequence[Bank],
    *,
    planned: int | Mapping[Lens, int],
    test: Test = Test.MARGIN,
    threshold: float = THRESHOLD,
) -> Finding:
    """Search views, at most `planned` through each lens, for any mark of the banks.

    One number is that of every lens. Stops at the first view that reaches the threshold; the family
    counts all that were planned. Raises CodecMismatch for a view that no bank can judge and for a
    bank that no view was read for.
    """
    if not isinstance(planned, Mapping):
        planned = dict.fromkeys((bank.scheme.lens for bank in banks), planned)
    fewest = min((planned.get(bank.scheme.lens, 0) for bank in banks), default=0)
    if fewest < 1 or not 0 < threshold < 1:
        raise ValueError("a search needs banks, at least one planned view, and 0 < threshold < 1")
    search = _Search(banks, planned, test, threshold)
    for view in views:
        search.look(view)
        if search.found:
            break
    return search.conclude()


@dataclass(frozen=True, eq=False)
class _Trial:
    """One bank's best owner on one view."""

    bank: Bank
    view: View
    stakes: Stakes
    owner: int
    p: float

    def match(self, test: Test) -> Match:
        """What was found, and the number in it."""
        key, index = self.bank.owners[self.owner]
        return Match(
            scheme=self.bank.scheme.name,
            model=self.bank.scheme.model,
            key_id=key.key_id,
            key_state=key.state,
            list_index=index,
            geometry=self.view.geometry,
            evidence=weigh(test, self.stakes, self.bank.coins(self.stakes.unit)[self.owner]),
            message=self.bank.message(test, self.view, self.owner),
        )


class _Search:
    """The state of one search: the best trial so far."""

    def __init__(
        self, banks: Sequence[Bank], planned: Mapping[Lens, int], test: Test, threshold: float
    ) -> None:
        self.banks = banks
        self.planned = planned
        self.test = test
        self.threshold = threshold
        self.family = Family(tuple(bank.trials(planned[bank.scheme.lens]) for bank in banks))
        self.best: _Trial | None = None
        self.least = 1.0
        self.units = 0
        self.scored = 0
        self.looked: dict[Lens, int] = {}

    @property
    def found(self) -> bool:
        best = self.best
        return best is not None and self.family.correct(best.p) <= self.threshold

    def look(self, view: View) -> None:
        able = [bank for bank in self.banks if bank.scheme.lens == view.lens]
        if not able:
            raise CodecMismatch(
                f"no scheme for tokens of codec {view.codec_digest.hex()[:16]} "
                f"at {view.lens.scales} scales"
            )
        count = self.looked[view.lens] = self.looked.get(view.lens, 0) + 1
        if count > self.planned[view.lens]:
            raise ValueError(f"more than the {self.planned[view.lens]} views that were planned")
        weighed: dict[tuple[Colouring, int, tuple[float, ...]], Stakes] = {}  # of each once
        for bank in able:
            colours = bank.scheme.colouring, bank.scheme.scales, bank.scheme.worth
            if colours not in weighed:
                weighed[colours] = bank.all_stakes(self.test, view)
            self._try(bank, view, bank.asked(weighed[colours]))

    def _try(self, bank: Bank, view: View, stakes: Stakes) -> None:
        """All keys and lists of a bank on one view: they share one null distribution."""
        self.units = max(self.units, len(stakes.unit))
        self.least = min(self.least, stakes.least)
        scores = statistics(stakes, bank.coins(stakes.unit))
        top = int(scores.argmax())
        score = int(scores[top])
        if self.best and stakes.bound(score) > SLACK * self.best.p:
            return
        p = float(stakes.chances[score])
        if self.best is None or p < self.best.p:
            self.best = _Trial(bank, view, stakes, top, p)

    def conclude(self) -> Finding:
        outcome, reason = self._judge()
        p = self.best.p if self.best else 1.0
        found = self.best if outcome is Outcome.DETECTED else None
        return Finding(
            outcome=outcome,
            reason=reason,
            test=self.test,
            p=p,
            corrected=self.family.correct(p),
            family=self.family,
            threshold=self.threshold,
            units=self.units,
            match=None if found is None else found.match(self.test),
        )

    def _judge(self) -> tuple[Outcome, Reason | None]:
        if self.found:
            return Outcome.DETECTED, None
        if not self.looked:
            return Outcome.INCONCLUSIVE, Reason.NOTHING_READ
        for bank in self.banks:
            if bank.scheme.lens not in self.looked:
                raise CodecMismatch(f"nothing was read for scheme {bank.scheme.name}")
        if self.family.correct(self.least) > self.threshold:
            return Outcome.INCONCLUSIVE, Reason.TOO_FEW_CODES
        return Outcome.NOT_DETECTED, None
