"""Rates: a bucket a caller, filled again as time goes on."""

from api import limits
from api.limits import Buckets, Rate

RATE = Rate("tries", 4, 60)


def test_a_rate_is_used_up_and_comes_back_evenly() -> None:
    buckets = Buckets()
    left = [buckets.take("a", RATE, now=100.0).remaining for _ in range(4)]
    assert left == [3, 2, 1, 0]
    refused = buckets.take("a", RATE, now=100.0)
    assert (refused.remaining, refused.wait, refused.reset) == (0, 15, 60)
    assert buckets.take("a", RATE, now=114.9).wait == 1
    assert buckets.take("a", RATE, now=115.0).wait == 0
    assert buckets.take("a", RATE, now=115.0).wait == 15


def test_callers_and_rates_do_not_share() -> None:
    buckets = Buckets()
    for _ in range(4):
        buckets.take("a", RATE, now=0.0)
    assert buckets.take("a", RATE, now=0.0).wait == 15
    assert buckets.take("b", RATE, now=0.0).wait == 0
    assert buckets.take("a", Rate("others", 4, 60), now=0.0).wait == 0


def test_headers_say_what_is_left() -> None:
    buckets = Buckets()
    assert buckets.take("a", RATE, now=0.0).headers == {
        "RateLimit-Policy": '"tries";q=4;w=60',
        "RateLimit": '"tries";r=3;t=15',
    }
    for _ in range(3):
        buckets.take("a", RATE, now=0.0)
    assert buckets.take("a", RATE, now=0.0).headers["Retry-After"] == "15"


def test_whoever_asked_longest_ago_is_forgotten_first() -> None:
    buckets = Buckets()
    buckets.take("first", RATE, now=0.0)
    for number in range(limits.MAX_CALLERS):
        buckets.take(str(number), RATE, now=0.0)
    assert buckets.take("first", RATE, now=0.0).remaining == 3
