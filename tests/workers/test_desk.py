"""Uploads are searched for the marks of every model, also of one brought while the service runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from generators.catalog import load_generator
from provenance.jobs import State
from provenance.settings import read_settings
from tests.workers import tiny
from tests.workers.shops import Shop, opened
from tests.workers.test_studio import ask
from tests.workers.uploads import jpeg, photograph
from workers.checking import check_next
from workers.desk import Desk, open_desk
from workers.drawing import draw_next
from workers.importing import declare_commercial
from workers.reader import LEFT_OUT
from workers.station import Station
from workers.studio import Studio


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop that draws with what the catalog has."""
    with tiny.catalog(), opened(tmp_path_factory.mktemp("shop")) as made:
        yield replace(made, studio=Studio(made.folder, made.blobs, load=load_generator))
        made.check()


@pytest.fixture(scope="module")
def desk(shop: Shop) -> Iterator[Desk]:
    """The desk as the service has it, with the process that reads uploads."""
    settings = replace(read_settings({}, shop.folder.path), checkers=1)
    made = open_desk(Station(settings, shop.folder, shop.blobs, shop.studio.stop))
    made.start()
    yield made
    made.sandbox.close()


def drawn(shop: Shop, model: str, prompt: str) -> bytes:
    """The pixels of a drawing in a new file: neither its manifest nor its digest is left."""
    job = ask(shop, prompt, model=model)
    assert draw_next(shop.studio) == 1
    copy = BytesIO()
    with Image.open(BytesIO(shop.file(job))) as picture:
        bare = picture.convert("RGB")
        bare.putpixel((0, 0), (1, 2, 3))
        bare.save(copy, "PNG")
    return copy.getvalue()


def found(shop: Shop, desk: Desk, data: bytes, *, search: str = "quick") -> dict[str, Any]:
    job = shop.verify(data, search=search)
    assert check_next(desk) == 1
    done = shop.read(job)
    assert done.state is State.DONE, done.detail
    assert done.result is not None
    return done.result


@pytest.mark.parametrize("model", ["icons-128", "icons-128-scales"])
def test_a_copy_of_what_either_model_drew_is_known_by_its_mark(
    shop: Shop, desk: Desk, model: str
) -> None:
    copy = drawn(shop, model, "a red apple on a blue background")
    result = found(shop, desk, jpeg(copy))
    assert result["findings"]["mark"]["state"] == "detected"
    mark = result["mark"]
    assert mark["model"] == model
    assert mark["models"] == ["icons-128", "icons-128-scales"]
    assert mark["models_left_out"] == {}
    assert {one["name"] for one in result["overlays"]} >= {"mark", "density"}


def test_a_stranger_s_picture_bears_no_mark_of_any_model(shop: Shop, desk: Desk) -> None:
    mark = found(shop, desk, photograph(seed=1))["mark"]
    assert mark["outcome"] == "not detected"
    assert mark["trials"] == 8 * (4 + 2)  # lists of the schemes of both


def test_a_model_brought_meanwhile_is_looked_for_without_a_restart(shop: Shop, desk: Desk) -> None:
    tiny.bring(shop.folder, shop.folder.path.parent / "tiny")
    mark = found(shop, desk, drawn(shop, "tiny", "3"))["mark"]
    assert (mark["outcome"], mark["model"]) == ("detected", "tiny")
    assert mark["models"] == ["icons-128", "icons-128-scales", "tiny"]
    large = found(shop, desk, photograph(1200, 900, seed=2), search="standard")
    assert large["mark"]["outcome"] == "not detected"


def test_a_model_whose_marks_cannot_be_looked_for_is_named(shop: Shop, desk: Desk) -> None:
    place = shop.folder.path / "models" / "tiny"
    if not place.exists():
        tiny.bring(shop.folder, shop.folder.path.parent / "tiny")
    copy = drawn(shop, "tiny", "4")
    shutil.copytree(place, place.with_name("torn"))
    mark = found(shop, desk, copy)["mark"]
    assert mark["model"] == "tiny"
    assert mark["models_left_out"] == {"torn": LEFT_OUT}
    assert str(place.parent) not in str(mark)
    card = (place / "card.json").read_text().replace('"MIT"', '"CC-BY-NC-4.0"')
    (place / "card.json").write_text(card)
    declare_commercial(shop.folder)
    mark = found(shop, desk, copy)["mark"]
    assert mark["outcome"] == "not detected"
    assert mark["models"] == ["icons-128", "icons-128-scales"]
    assert mark["models_left_out"] == {"tiny": LEFT_OUT, "torn": LEFT_OUT}
