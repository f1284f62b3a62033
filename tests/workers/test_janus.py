"""The service draws by text with a Janus that was brought, and finds its mark in uploads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from generators.catalog import load_generator
from provenance.jobs import Fault, State
from provenance.settings import read_settings
from tests.generators.huggingface.tiny import save_janus
from tests.workers import tiny
from tests.workers.shops import Shop, opened
from tests.workers.test_desk import drawn, found
from tests.workers.test_studio import ask
from workers.desk import open_desk
from workers.drawing import draw_next
from workers.importing import keep
from workers.looking import Wanted, look
from workers.station import Station
from workers.studio import Studio, announced
from workers.trying import measured

SIDE = 32  # tokens


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that draws with what the catalog has, a Janus among it."""
    place = tmp_path_factory.mktemp("shop")
    with tiny.catalog(), opened(place) as made:
        janus = look(Wanted((save_janus(place / "brought", side=SIDE),), "pro", "MIT"))
        keep(made.folder, janus, measured(janus))
        yield replace(made, studio=Studio(made.folder, made.blobs, load=load_generator))
        made.check()


def test_it_is_announced_and_a_policy_of_words_holds(shop: Shop) -> None:
    told = {model.name: model for model in announced(shop.studio)}
    assert (told["pro"].draws, told["pro"].uploads) == ("what a text says, 64 px", False)
    shop.ban()
    banned, fine = ask(shop, "a gun", model="pro"), ask(shop, "a red cat", model="pro")
    draw_next(shop.studio)
    assert shop.read(banned).fault is Fault.BANNED
    assert shop.read(fine).state is State.DONE


def test_its_mark_is_found_in_an_upload_by_the_process_that_reads_them(shop: Shop) -> None:
    settings = replace(read_settings({}, shop.folder.path), checkers=1)
    desk = open_desk(Station(settings, shop.folder, shop.blobs, shop.studio.stop))
    desk.start()
    mark = found(shop, desk, drawn(shop, "pro", "a red cat"))["mark"]
    desk.sandbox.close()
    assert (mark["outcome"], mark["model"]) == ("detected", "pro")
    assert mark["models_left_out"] == {}
