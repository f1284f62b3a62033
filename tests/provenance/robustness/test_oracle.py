import numpy as np

from provenance.robustness.oracle import climb_down, climb_up

CODES = 64
GREEN = np.arange(CODES) < 32
ALIKE = np.stack([(np.arange(CODES) + 16 * k) % CODES for k in (1, 2, 3)], axis=1)


def share(tokens: np.ndarray) -> float:
    return float(GREEN[tokens].mean())


def test_climbing_down_removes_a_mark_and_up_forges_one() -> None:
    marked = np.arange(100) % 32
    down = climb_down(marked, ALIKE, share, queries=800, rng=np.random.default_rng(0))
    assert share(marked) == 1
    assert down.evidence[-1] == share(down.tokens) < 0.1
    up = climb_up(32 + marked, ALIKE, share, queries=800, rng=np.random.default_rng(0))
    assert up.evidence[-1] == share(up.tokens) > 0.9


def test_the_evidence_never_moves_the_wrong_way() -> None:
    down = climb_down(np.zeros(30, int), ALIKE, share, queries=200, rng=np.random.default_rng(1))
    assert len(down.evidence) == 200
    assert (np.diff(down.evidence) <= 0).all()


def test_every_token_stays_alike_to_the_one_it_was() -> None:
    start = np.random.default_rng(2).integers(0, CODES, 50)
    up = climb_up(start, ALIKE, share, queries=300, rng=np.random.default_rng(3))
    assert all(b == a or b in ALIKE[a] for a, b in zip(start, up.tokens, strict=True))
    assert up.changed == np.mean(up.tokens != start)


def test_a_verdict_alone_gives_no_slope_far_from_its_threshold() -> None:
    """Why anonymous callers get a verdict and no score: fewer tokens fall to the same queries."""
    marked = np.arange(400) % 32

    def verdict(tokens: np.ndarray) -> float:
        return float(share(tokens) > 0.8)

    scored = climb_up(32 + marked, ALIKE, share, queries=1000, rng=np.random.default_rng(4))
    blind = climb_up(32 + marked, ALIKE, verdict, queries=1000, rng=np.random.default_rng(4))
    assert blind.evidence[-1] == 0
    assert share(scored.tokens) > share(blind.tokens) + 0.2
