"""Keeps what policies ban out of pictures: screen the prompt, steer the drawing, check the picture.

Each is there because the one before can be got round: words miss a paraphrase, what a prompt means
says nothing of what a model makes of it, and steering is a push, not a wall. What a checker still
sees is drawn again, pushed harder, and refused when the attempts are used up. A policy that
cannot be applied as it says (no such checker, no such delta, a model that cannot be steered) fails
the job: it is never applied in part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from generators.catalog import Generator
from generators.checkers.interface import Checker
from generators.erasure import Away, Branch, Schedule
from generators.interface import CannotAsk, Unsupported
from generators.sampling import Erasure, Request, Unerased
from provenance.errors import ProvenanceError
from provenance.policies import Effective
from provenance.reasons import Done, Kind, Reason
from workers.generate import BATCH, How, Marked, attempt
from workers.glancing import CannotLook, Glances, Stopped, seen
from workers.marking import Marker
from workers.screening import Screen, Screened, scene

HARDER = 0.5  # more of a concept's strength at every further attempt
HARDEST = 2.0


class CannotApply(ProvenanceError):
    """A policy that this worker cannot apply as it says; the text says which part, and why."""


class Banned(ProvenanceError):
    """The prompt, or what was drawn for it, shows what a policy bans; the text says what spoke."""


@dataclass(frozen=True)
class Kept:
    """A picture that passed, and what was done for it."""

    marked: Marked
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Refused:
    """No picture: the prompt, or every picture drawn for it, shows what the policy bans."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Erased:
    """What a record says of it: the concepts, the policies' digest, and the deltas' digests."""

    names: tuple[str, ...] = ()
    digest: bytes = b""
    deltas: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Rules:
    """A policy with all that applying it takes; `check` before anything is drawn."""

    policy: Effective
    screen: Screen
    checkers: Mapping[str, Checker]
    deltas: tuple[bytes, ...] = ()  # digests of those on the weights

    @property
    def erased(self) -> Erased:
        """What is to be recorded of pictures drawn by these."""
        return Erased(self.policy.names, self.policy.digest, self.deltas)

    def check(self) -> None:
        """Raise CannotApply unless every checker and label that the policy names is here."""
        for concept in self.policy.concepts:
            if not concept.checker:
                continue
            checker = self.checkers.get(concept.checker)
            if checker is None:
                known = ", ".join(sorted(self.checkers)) or "none"
                raise CannotApply(
                    f"concept {concept.name!r} asks for the checker {concept.checker!r}; "
                    f"there are: {known}"
                )
            unknown = sorted(set(concept.labels) - set(checker.labels))
            if unknown:
                raise CannotApply(
                    f"concept {concept.name!r}: the checker {checker.name!r} knows no label "
                    f"{unknown[0]!r}"
                )


@dataclass
class _Wanted:
    """A request on its way: as it was screened, and what was seen in its pictures so far."""

    number: int
    request: Request
    screened: Screened
    reasons: list[Reason]
    drawn: Away | None = None


def draw_kept(
    generator: Generator,
    marker: Marker,
    requests: Sequence[Request],
    how: How,
    rules: Rules,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    show: Callable[[Sequence[int], Tensor], None] = lambda numbers, tokens: None,
) -> list[Kept | Refused]:
    """Each request's picture, or why there is none; `how.erase` is not used.

    Raises CannotApply, and CannotAsk for a prompt. No picture may leave that `check_carries`
    refuses.
    """
    rules.check()
    done: dict[int, Kept | Refused] = {}
    wanted = []
    for number, request in enumerate(requests):
        screened = rules.screen(rules.policy, request.prompt)
        if screened.refused:
            done[number] = Refused(screened.reasons)
        else:
            asked = replace(request, prompt=screened.prompt)
            wanted.append(_Wanted(number, asked, screened, list(screened.reasons)))
    for level in range(rules.policy.attempts):
        if not wanted:
            break
        last = level + 1 == rules.policy.attempts
        again = []
        what = _Try(generator, marker, how, rules, level, last, progress, show)
        for one, marked, banned in _attempt(what, wanted):
            if marked is not None and not banned:
                done[one.number] = Kept(marked, _told(one))
                continue
            act = Done.REFUSED if last else Done.REDRAWN
            one.reasons += [replace(reason, done=act) for reason in banned]
            if last:
                done[one.number] = Refused(_told(one))
            else:
                _harden(one, rules, banned)
                again.append(one)
        wanted = again
    return [done[number] for number in range(len(requests))]


def _attempt(
    what: _Try, wanted: Sequence[_Wanted]
) -> Iterator[tuple[_Wanted, Marked | None, list[Reason]]]:
    """Each request with its picture and what is banned in it; no picture where it was stopped."""
    for start in range(0, len(wanted), BATCH):
        part = wanted[start : start + BATCH]
        try:
            made, banned = what.draw(part)
        except (Unsupported, CannotAsk) as e:
            if isinstance(e, CannotAsk) and not any(one.screened.branches for one in part):
                raise
            raise CannotApply(f"the policy asks to steer, but {e}") from e
        except CannotLook as e:
            raise CannotApply(str(e)) from e
        yield from zip(part, made, banned, strict=True)


@dataclass(frozen=True)
class _Try:
    """One attempt at some pictures; `level` counts them from 0, and the `last` one decides."""

    generator: Generator
    marker: Marker
    how: How
    rules: Rules
    level: int
    last: bool
    progress: Callable[[int, int], None]
    show: Callable[[Sequence[int], Tensor], None]

    def draw(self, part: Sequence[_Wanted]) -> tuple[Sequence[Marked | None], list[list[Reason]]]:
        """Pictures of a batch, and what is banned in each."""
        by_request = {one.request: one for one in part}

        def erase(request: Request) -> Erasure:
            one = by_request[request]
            one.drawn = away(one.screened, self.level)
            return one.drawn or Unerased()

        def named(places: Sequence[int], tokens: Tensor) -> None:
            self.show([part[place].number for place in places], tokens)

        policy, checkers = self.rules.policy, self.rules.checkers
        glances = Glances(policy, checkers, self.generator.codec, named, len(part), self.last)
        try:
            made = attempt(
                self.generator,
                self.marker,
                [one.request for one in part],
                replace(self.how, erase=erase),
                progress=self.progress,
                show=glances,
            )
        except Stopped:
            return [None] * len(part), [glances.banned.get(n, []) for n in range(len(part))]
        return made, seen(policy, checkers, [one.drawn.pixels for one in made])


def away(screened: Screened, level: int) -> Away | None:
    """How a prompt is steered at an attempt, from 0; None if nothing is to be steered away from."""
    if not screened.branches:
        return None
    branches = [_pushed(branch, level) for branch in screened.branches]
    without = tuple(branch.text for branch in branches) if level else screened.without
    return Away(branches, tuple(text.removeprefix(", ") for text in without))


def _pushed(branch: Branch, level: int) -> Branch:
    """The branch as it is pushed at an attempt: harder every time, and then all the way through."""
    schedule = branch.schedule
    if not level:
        return branch
    strength = min(HARDEST, schedule.strength * (1 + HARDER * level))
    return replace(branch, schedule=replace(schedule, strength=strength, opening=1.0))


def _harden(one: _Wanted, rules: Rules, banned: Sequence[Reason]) -> None:
    """Steer away from what was seen in the picture, if it was not steered away from before."""
    steered = {branch.concept for branch in one.screened.branches}
    more = [
        Branch(
            concept.name,
            scene(concept.phrases[0]),
            Schedule(concept.strength, concept.opening, concept.threshold),
        )
        for concept in rules.policy.concepts
        if concept.name in {reason.concept for reason in banned} - steered
    ]
    one.screened = replace(one.screened, branches=(*one.screened.branches, *more))


def _told(one: _Wanted) -> tuple[Reason, ...]:
    """The reasons, with what the drawing itself said of each concept that was steered away from."""
    rates = {seen.concept: seen.rate for seen in one.drawn.evidence} if one.drawn else {}
    return tuple(
        replace(
            reason,
            evidence=rates.get(reason.concept),
            picture=one.number if reason.kind is Kind.PICTURE else reason.picture,
        )
        for reason in one.reasons
    )
