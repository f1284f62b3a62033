"""What a policy bans leaves in no picture: screened, steered, checked, drawn again, refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from generators.checkers.interface import CannotCheck, Picture
from generators.erasure import Away
from generators.interface import CannotAsk, Prompt
from generators.sampling import Request
from provenance.policies import EVERY, Action, Concept, Effective, Version
from provenance.reasons import Done, Kind
from tests.workers.test_screening import SCREEN
from tests.workers.toys import GreyModel, GreyRun, generator, key
from workers.erasing import CannotApply, Kept, Refused, Rules, away, draw_kept
from workers.generate import How, unerased
from workers.glancing import drawn_share
from workers.marking import Kind as Mark

GUN = Concept("gun", ("a gun",), checker="toy", labels=("dark",), most=0.5)
REQUEST = Request("a gun", 3)


class Script:
    """A checker whose scores are written down beforehand, one row for every whole batch.

    Pictures that are black at the bottom are not yet drawn; it gives them `partial`, by place.
    """

    name, digest, labels = "toy", b"c" * 32, ("dark", "light")

    def __init__(self, *rows: Sequence[float], partial: Sequence[float] = (0.0,) * 8) -> None:
        self._rows, self._partial = list(rows), partial
        self.seen: list[int] = []
        self.glanced = 0

    def scores(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        if not any(picture[-8:].any() for picture in pictures):
            self.glanced += 1
            parts = self._partial[: len(pictures)]
            return np.array([[score, 0.0] for score in parts], np.float32)
        self.seen.append(len(pictures))
        row = self._rows.pop(0)
        return np.array([[score, 0.0] for score in row], np.float32)


class Broken(Script):
    def scores(self, pictures: Sequence[Picture]) -> NDArray[np.float32]:
        raise CannotCheck("the weights are gone")


def rules(checker: Script | None, *concepts: Concept, attempts: int = 3) -> Rules:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    version = Version(EVERY, "toy", 1, concepts, attempts, b"d" * 32, "me", made)
    return Rules(Effective((version,)), SCREEN, {"toy": checker} if checker else {})


def drawn(folder: Path, given: Rules, *requests: Request) -> tuple[list[Kept | Refused], list[int]]:
    toy, marker = generator(folder)
    steps: list[int] = []
    made = draw_kept(
        toy,
        marker,
        requests or [REQUEST],
        How(Mark.LEXICAL, key(), unerased),
        given,
        progress=lambda done, total: steps.append(done),
    )
    return made, steps


def test_what_passes_is_kept_and_says_what_was_done(tmp_path: Path) -> None:
    (made,), _ = drawn(tmp_path, rules(Script([0.4]), GUN))
    assert isinstance(made, Kept)
    (reason,) = made.reasons
    assert (reason.kind, reason.done) == (Kind.PHRASE, Done.STEERED)
    assert reason.evidence is not None


def test_what_the_checker_sees_is_drawn_again_and_then_kept(tmp_path: Path) -> None:
    checker = Script([0.9], [0.1])
    (made,), _ = drawn(tmp_path, rules(checker, GUN))
    assert isinstance(made, Kept)
    assert checker.seen == [1, 1]
    assert [reason.done for reason in made.reasons] == [Done.STEERED, Done.REDRAWN]
    assert made.reasons[1].kind is Kind.PICTURE
    assert made.reasons[1].score == pytest.approx(0.9)


def test_what_is_seen_every_time_is_refused_in_the_end(tmp_path: Path) -> None:
    checker = Script([0.9], [0.8], [0.7])
    (made,), _ = drawn(tmp_path, rules(checker, GUN))
    assert isinstance(made, Refused)
    assert made.reasons[-1].done is Done.REFUSED
    assert checker.seen == [1, 1, 1]


def test_a_score_that_is_no_number_is_one_too_much(tmp_path: Path) -> None:
    (made,), _ = drawn(tmp_path, rules(Script([float("nan")]), GUN, attempts=1))
    assert isinstance(made, Refused)


def test_only_the_pictures_that_were_seen_are_drawn_again(tmp_path: Path) -> None:
    checker = Script([0.9, 0.1, 0.9], [0.1, 0.9], [0.0])
    wishes = [Request("a gun", n) for n in range(3)]
    made, _ = drawn(tmp_path, rules(checker, GUN), *wishes)
    assert checker.seen == [3, 2, 1]
    assert [type(one) for one in made] == [Kept] * 3
    assert isinstance(made[1], Kept)
    assert made[1].marked.drawn.request.seed == 1


def test_a_refused_prompt_is_never_drawn(tmp_path: Path) -> None:
    checker = Script()
    refuse = replace(GUN, action=Action.REFUSE)
    (made,), steps = drawn(tmp_path, rules(checker, refuse))
    assert isinstance(made, Refused)
    assert (steps, checker.seen) == ([], [])


def test_a_concept_seen_in_a_picture_that_did_not_ask_for_it_is_steered_away_from(
    tmp_path: Path,
) -> None:
    (made,), _ = drawn(tmp_path, rules(Script([0.9], [0.1]), GUN), Request("a cat", 3))
    assert isinstance(made, Kept)
    assert made.reasons[0].evidence is not None, "a branch was drawn against at last"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (rules(None, GUN), "checker 'toy'; there are: none"),
        (rules(Script(), replace(GUN, labels=("grey",))), "knows no label 'grey'"),
        (rules(Broken(), GUN), "cannot check: the weights are gone"),
        (rules(Script([0.1, 0.1]), GUN), "scored 2 of 1"),
    ],
)
def test_a_policy_that_cannot_be_applied_draws_nothing(
    tmp_path: Path, given: Rules, says: str
) -> None:
    with pytest.raises(CannotApply, match=says):
        drawn(tmp_path, given)


class Classes:
    """A model that knows the class 3 alone, in prompts as in what they are drawn away from."""

    layout = GreyModel.layout

    def open(self, prompts: Sequence[Prompt]) -> GreyRun:
        asked = [text for prompt in prompts for text in (prompt.text, *prompt.against)]
        if any(text != "3" for text in asked):
            raise CannotAsk("a prompt is 3")
        return GreyModel().open(prompts)


def by_class(folder: Path, given: Rules, prompt: str) -> Kept | Refused:
    toy, marker = generator(folder)
    asked = replace(toy, model=Classes())
    how = How(Mark.LEXICAL, key(), unerased)
    (made,) = draw_kept(asked, marker, [Request(prompt, 3)], how, given)
    return made


def test_a_prompt_that_cannot_be_asked_is_no_fault_of_a_policy(tmp_path: Path) -> None:
    """What is seen in a picture, and cannot be steered away from, is one."""
    assert isinstance(by_class(tmp_path, rules(Script([0.0]), GUN), "3"), Kept)
    with pytest.raises(CannotAsk, match="a prompt is 3"):
        by_class(tmp_path, rules(Script(), GUN), "a cat")
    with pytest.raises(CannotApply, match="the policy asks to steer, but a prompt is 3"):
        by_class(tmp_path, rules(Script([0.9]), GUN), "3")


def test_every_attempt_pushes_harder_and_projects() -> None:
    screened = SCREEN(rules(Script(), GUN).policy, "a mallet")
    first, second, last = (away(screened, level) for level in (0, 1, 9))
    assert isinstance(first, Away)
    assert isinstance(second, Away)
    assert isinstance(last, Away)
    strengths = [one.branches[0].schedule.strength for one in (first, second, last)]
    assert strengths == [1.0, 1.5, 2.0]
    assert (first.without, second.without) == ((), ("a gun",))
    assert away(SCREEN(rules(Script(), GUN).policy, "a cat"), 0) is None


def test_a_record_says_what_counted() -> None:
    given = replace(rules(Script(), GUN), deltas=(b"\x01" * 32,))
    assert given.erased.names == ("gun",)
    assert given.erased.digest == given.policy.digest
    assert given.erased.deltas == (b"\x01" * 32,)


def test_what_is_seen_in_a_part_is_not_drawn_to_its_end(tmp_path: Path) -> None:
    checker = Script([0.1], partial=[0.9])
    (made,), steps = drawn(tmp_path, rules(checker, GUN))
    assert isinstance(made, Kept), "the last attempt is finished, and only its whole counts"
    assert steps.count(256) == 1
    assert (steps.count(191), steps.count(192)) == (3, 1), "stopped at three quarters, twice"
    assert [one.done for one in made.reasons if one.kind is Kind.PICTURE] == [Done.REDRAWN] * 2


def test_a_drawing_goes_on_for_those_in_which_nothing_is_seen(tmp_path: Path) -> None:
    checker = Script([0.1, 0.1], partial=[0.9, 0.0])
    made, steps = drawn(tmp_path, rules(checker, GUN), REQUEST, replace(REQUEST, seed=4))
    assert all(isinstance(one, Kept) for one in made)
    assert steps.count(256) == 1


def test_only_what_passed_a_look_is_shown(tmp_path: Path) -> None:
    shown: list[tuple[list[int], float]] = []

    def show(numbers: Sequence[int], tokens: Tensor) -> None:
        shown.append((list(numbers), drawn_share(tokens)))

    toy, marker = generator(tmp_path)
    pair = [REQUEST, replace(REQUEST, seed=4)]
    how, given = How(Mark.LEXICAL, key(), unerased), Script([0.1, 0.1], partial=[0.9, 0.0])
    draw_kept(toy, marker, pair, how, rules(given, GUN), show=show)
    assert [numbers for numbers, _ in shown] == [[1], [1]]
    assert shown[0][1] >= 0.75
    shown.clear()
    draw_kept(toy, marker, pair, how, rules(None, replace(GUN, checker="", labels=())), show=show)
    assert len(shown) == 256, "without a checker there is nothing to wait for"
