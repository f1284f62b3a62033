from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from provenance.policies import EVERY, Action, Concept, Effective, Version
from provenance.reasons import Done, Kind, tell
from workers.screening import MOST_BRANCHES, Screen

AXES = {"gun": 0, "bomb": 1, "cat": 2, "hammer": 3}
LIKE = {"revolver": ("gun", 0.8), "mallet": ("gun", 0.5), "rocket": ("bomb", 0.3)}


class Axes:
    """Every known word has an axis of its own; others lean towards one, or are far from all."""

    def embed(self, texts: Sequence[str]) -> Tensor:
        rows = []
        for text in texts:
            row = torch.zeros(8)
            for word in text.replace(",", " ").split():
                if word in AXES:
                    row[AXES[word]] += 1
                elif word in LIKE:
                    near, cosine = LIKE[word]
                    row[AXES[near]] += cosine
                    row[7] += (1 - cosine**2) ** 0.5
            rows.append(F.normalize(row if row.any() else torch.eye(8)[6], dim=0))
        return torch.stack(rows)


def policy(*concepts: Concept) -> Effective:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return Effective((Version(EVERY, "m", 3, concepts, 3, b"d" * 32, "me", made),))


def gun(action: Action = Action.STEER, replacement: str = "") -> Concept:
    return Concept("gun", ("a gun",), action, replacement)


SCREEN = Screen(Axes)


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        ("a gun, on a red table", Kind.PHRASE),
        ("a g\N{LATIN SMALL LETTER U WITH DIAERESIS}n, on a red table", Kind.LOOKALIKE),
        ("a g-u-n, on a red table", Kind.SPELLING),
        ("a revolver, on a red table", Kind.MEANING),
    ],
)
def test_what_surely_asks_for_it_is_refused_and_says_why(prompt: str, kind: Kind) -> None:
    screened = SCREEN(policy(gun(Action.REFUSE)), prompt)
    (reason,) = screened.reasons
    assert screened.refused
    assert (reason.concept, reason.kind, reason.done) == ("gun", kind, Done.REFUSED)
    assert reason.policy == "*/m/3"
    assert reason.score >= reason.threshold
    assert prompt not in tell(reason)


def test_where_nobody_knows_the_prompt_is_steered_even_if_the_action_is_to_refuse() -> None:
    screened = SCREEN(policy(gun(Action.REFUSE)), "a mallet, on a red table")
    assert not screened.refused
    assert [branch.text for branch in screened.branches] == ["a gun"]
    assert screened.without == ()
    assert screened.reasons[0].done is Done.STEERED


def test_what_is_far_costs_nothing() -> None:
    screened = SCREEN(policy(gun(), Concept("bomb", ("a bomb",))), "a cat, on a red table")
    assert (screened.branches, screened.reasons, screened.refused) == ((), (), False)


def test_a_concept_that_is_named_is_projected_out_and_steered_away_from() -> None:
    screened = SCREEN(policy(gun()), "a gun, on a red table")
    assert screened.without == ("a gun", "gun")
    assert [branch.concept for branch in screened.branches] == ["gun"]


def test_a_prompt_is_rewritten_in_its_scene() -> None:
    screened = SCREEN(policy(gun(Action.REWRITE, "a hammer")), "a gun, on a red table")
    assert screened.prompt == "a hammer, on a red table"
    assert screened.reasons[0].done is Done.REWRITTEN
    assert screened.branches == ()


def test_a_clause_is_enough() -> None:
    assert SCREEN(policy(gun(Action.REFUSE)), "a cat, with a revolver").refused


def test_branches_are_few_unless_all_are_sure() -> None:
    maybe = [Concept(f"maybe {n}", ("a gun",), near=0.1, certain=0.99) for n in range(6)]
    assert len(SCREEN(policy(*maybe), "a mallet").branches) == MOST_BRANCHES
    sure = [Concept(f"sure {n}", ("a gun",)) for n in range(6)]
    assert len(SCREEN(policy(*sure), "a gun").branches) == 6


def test_a_style_is_put_where_a_scene_is() -> None:
    style = Concept("brand", ("in the style of gun",))
    screened = SCREEN(policy(style), "a cat in the style of gun")
    assert screened.branches[0].text == ", in the style of gun"


def test_without_a_policy_no_encoder_is_loaded() -> None:
    def never() -> Axes:
        raise AssertionError("loaded")

    assert Screen(never)(Effective(()), "a gun").reasons == ()


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a g-u-n, on a red table", "g-u-n"),
        ("a revolver, on a red table", "a revolver"),
        ("a revolver", "a revolver"),
        ("a cat, with a revolver", "with a revolver"),
    ],
)
def test_what_spoke_for_a_concept_is_projected_out_as_it_stands(prompt: str, said: str) -> None:
    assert SCREEN(policy(gun()), prompt).without == ("a gun", said)


def test_a_name_asks_for_its_style() -> None:
    brand = Concept("brand", ("in the style of Rembrandt",), Action.REFUSE)
    screened = SCREEN(policy(brand), "a cat, as Rembrandt would draw it")
    assert screened.refused
    assert (screened.reasons[0].start, screened.reasons[0].end) == (10, 19)


def test_a_style_is_projected_out_even_where_nobody_knows() -> None:
    style = Concept("brand", ("in the style of gun",))
    screened = SCREEN(policy(style), "a cat in a mallet")
    assert screened.reasons[0].done is Done.STEERED
    assert screened.reasons[0].score < style.certain
    assert screened.without == ("in the style of gun",)
