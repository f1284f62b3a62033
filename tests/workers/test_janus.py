"""The service draws with a Janus that was brought, by text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from generators.catalog import load_generator
from provenance.jobs import Fault, State
from provenance.wishes import Generate
from tests.generators.huggingface.tiny import save_janus
from tests.workers import tiny
from tests.workers.shops import Shop, opened
from workers.drawing import draw_next
from workers.importing import keep
from workers.looking import Wanted, look
from workers.studio import Studio, announced
from workers.trying import measured

SIDE = 24  # tokens


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop that draws with what the catalog has, a Janus among it."""
    with tiny.catalog(), opened(tmp_path) as made:
        found = look(Wanted((save_janus(tmp_path / "brought", side=SIDE),), "pro", "MIT"))
        keep(made.folder, found, measured(found))
        yield replace(made, studio=Studio(made.folder, made.blobs, load=load_generator))


def test_it_is_announced_and_drawn_with_and_a_policy_of_words_holds(shop: Shop) -> None:
    found = {model.name: model for model in announced(shop.studio)}
    assert (found["pro"].draws, found["pro"].uploads) == ("what a text says, 48 px", False)
    job = shop.ask(Generate("pro", "a red cat", 1, 2, "both").wish("local", None))
    assert draw_next(shop.studio) == 1
    done = shop.read(job)
    assert done.state is State.DONE, done.detail
    assert shop.file(job, 0) != shop.file(job, 1)
    shop.ban()
    banned = shop.ask(Generate("pro", "a gun", 1, 1, "both").wish("local", None))
    draw_next(shop.studio)
    assert shop.read(banned).fault is Fault.BANNED
    shop.check()
