"""A broker is asked by one at a time and not too often, and is down until it has answered."""

from __future__ import annotations

from threading import Event, Thread

from api.broker import FRESH, Broker


class Asked:
    """A broker that answers as told, at a time as told."""

    def __init__(self) -> None:
        self.up, self.times, self.now = True, 0, 0.0

    def __call__(self, url: str) -> bool:
        self.times += 1
        return self.up


def test_without_a_broker_nobody_is_asked() -> None:
    asked = Asked()
    assert Broker(None, answers=asked).state() == "none"
    assert asked.times == 0


def test_an_answer_counts_for_a_while() -> None:
    asked = Asked()
    broker = Broker("amqp://", answers=asked, clock=lambda: asked.now)
    assert broker.state() == "ok"
    asked.up = False
    assert (broker.state(), asked.times) == ("ok", 1)
    asked.now = FRESH
    assert (broker.state(), asked.times) == ("down", 2)
    asked.up, asked.now = True, 2 * FRESH
    assert broker.state() == "ok"


def test_whoever_comes_while_it_is_asked_does_not_wait() -> None:
    inside, leave = Event(), Event()

    def hang(url: str) -> bool:
        inside.set()
        return leave.wait(30)

    broker = Broker("amqp://", answers=hang)
    first = Thread(target=broker.state)
    first.start()
    try:
        assert inside.wait(30)
        assert broker.state() == "down"
    finally:
        leave.set()
        first.join()
    assert broker.state() == "ok"
