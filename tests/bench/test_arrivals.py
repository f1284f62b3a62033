import pytest

from bench.arrivals import Arrivals, Measured
from bench.speed import BATCH


def test_requests_come_by_the_clock_and_are_taken_once() -> None:
    arrivals = Arrivals(2.0)
    assert arrivals.take(most=BATCH, wait=False) == [0]
    assert arrivals.take(most=BATCH, wait=False) == []
    assert arrivals.take(most=BATCH, wait=True) == [1], "waits for the next"
    for number in range(2, BATCH):
        assert arrivals.take(most=1, wait=False) == []
        assert arrivals.take(most=1, wait=True) == [number]
    assert (arrivals.left, arrivals.take(most=BATCH, wait=True)) == (0, [])


def test_who_came_meanwhile_is_taken_together() -> None:
    arrivals = Arrivals(1e-9)
    assert arrivals.take(most=3, wait=False) == [0, 1, 2]
    assert arrivals.take(most=BATCH, wait=False) == list(range(3, BATCH))


def test_a_request_waits_from_when_it_came() -> None:
    arrivals = Arrivals(10.0)
    arrivals.finish([0, 2])
    assert arrivals.waited[0] == pytest.approx(0, abs=1)
    assert arrivals.waited[2] == pytest.approx(-20, abs=1)


def test_a_row_has_the_rate_the_mean_the_first_and_the_longest() -> None:
    measured = Measured("half", "join", [1.0, 2.0, 3.0, 2.0, 2.0, 2.0, 2.0, 2.0], 8.0)
    assert measured.line == "| half | join | 256 | 2.0 | 1.0 | 3.0 | 8.0 |"
