import math

import pytest
import torch
from torch import Tensor

from generators.erasure import Away, Branch, Schedule
from generators.guidance import mix
from generators.interface import Site

CODES = 12
SITE = Site("image", 0, 10, None, torch.tensor([0]))
LATE = Site("image", 9, 10, None, torch.tensor([9]))


def logits(branches: int, seed: int = 0) -> Tensor:
    return torch.randn(branches, 1, CODES, generator=torch.Generator().manual_seed(seed))


def away(*branches: Branch) -> Away:
    return Away(branches)


def test_a_strength_of_nothing_is_bit_identical_to_no_erasure() -> None:
    nothing = away(Branch("gun", "a gun", Schedule(strength=0)))
    assert nothing.against == ()
    given = logits(2)
    assert torch.equal(nothing.steer(SITE, given, 2.5), mix(given[0], given[1], 2.5))
    assert torch.equal(away().steer(SITE, given, 2.5), mix(given[0], given[1], 2.5))


def test_what_speaks_for_the_concept_becomes_less_likely() -> None:
    given = logits(3)
    given[2, 0, 4] += 8  # the concept alone would draw this
    free = mix(given[0], given[1], 2.5).softmax(-1)[0, 4]
    pushed = away(Branch("gun", "a gun")).steer(SITE, given, 2.5).softmax(-1)[0, 4]
    assert pushed < free / 3


def test_the_push_is_never_longer_than_the_prompt_s_own() -> None:
    given = logits(5)
    given[2:] += 40 * logits(3, seed=5)
    free = mix(given[0], given[1], 2.5)
    hard = Schedule(strength=2.0, opening=1.0)
    pushed = away(*(Branch(name, name, hard) for name in "abc")).steer(SITE, given, 2.5)
    own, push = 2.5 * (given[0] - given[1]), pushed - free
    assert (push - push.mean()).norm() == pytest.approx(float((own - own.mean()).norm()), rel=1e-4)


def test_the_gate_is_open_at_first_and_then_goes_by_the_evidence() -> None:
    schedule = Schedule(opening=0.5, threshold=0.2, softness=0.02)
    given = logits(3)
    free = mix(given[0], given[1], 2.5)
    absent = away(Branch("gun", "a gun", schedule))
    assert not torch.allclose(absent.steer(SITE, given, 2.5), free)
    unlikely = (given[2] - given[1]).argmin(-1)
    absent.observe(SITE, given, unlikely)
    assert absent.evidence[0].nats < 0
    torch.testing.assert_close(absent.steer(LATE, given, 2.5), free, atol=1e-3, rtol=1e-3)
    present = away(Branch("gun", "a gun", schedule))
    present.observe(SITE, given, (given[2] - given[1]).argmax(-1))
    assert not torch.allclose(present.steer(LATE, given, 2.5), free, atol=1e-2)


def test_evidence_is_the_ratio_of_the_likelihoods_of_what_was_drawn() -> None:
    one = away(Branch("gun", "a gun"), Branch("bomb", "a bomb"))
    total = [0.0, 0.0]
    for seed in range(5):
        given = logits(4, seed)
        token = torch.tensor([seed])
        one.steer(SITE, given, 2.0)
        one.observe(SITE, given, token)
        logp = given.log_softmax(-1)[:, 0, seed]
        total = [total[k] + float(logp[2 + k] - logp[1]) for k in range(2)]
    assert [seen.nats for seen in one.evidence] == pytest.approx(total, abs=1e-4)
    assert one.evidence[1].rate == pytest.approx(total[1] / 5, abs=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"strength": -1}, {"opening": 2}, {"softness": 0}, {"threshold": math.nan}]
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="strength|finite"):
        Schedule(**wrong)
