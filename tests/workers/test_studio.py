"""Models that were brought are drawn with by the service, noticed while it runs, or left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from generators import catalog
from generators.catalog import BadWeights, load_generator
from generators.llamagen import LlamaGenModel
from generators.stepping import Stepping
from provenance import jobs
from provenance.database import transaction
from provenance.jobs import Fault, Job, State
from provenance.settings import BadSetting, read_settings
from provenance.wishes import Generate
from tests.workers import tiny
from tests.workers.shops import Shop, opened
from workers.drawing import draw_next
from workers.importing import declare_commercial
from workers.station import Station
from workers.studio import Studio, announced, open_studio


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop that draws with what the catalog has."""
    with tiny.catalog(), opened(tmp_path) as made:
        yield replace(made, studio=Studio(made.folder, made.blobs, load=load_generator))


def ask(shop: Shop, prompt: str, *, model: str = "tiny") -> Job:
    with transaction(shop.folder.engine) as session:
        wish = Generate(model, prompt, 1, 1, "both").wish("local", None)
        return jobs.ask(session, wish, now=datetime.now(UTC))


def names(shop: Shop) -> list[str]:
    return sorted(model.name for model in announced(shop.studio))


def test_what_is_brought_while_it_runs_is_announced_and_drawn_with(
    shop: Shop, tmp_path: Path
) -> None:
    assert names(shop) == ["icons-128", "icons-128-scales"]
    tiny.bring(shop.folder, tmp_path / "tiny")
    found = {model.name: model for model in announced(shop.studio)}
    assert found["tiny"].draws == "one of 5 classes, by number, 48 px"
    assert [found[name].uploads for name in ("tiny", "icons-128")] == [False, True]
    assert found["icons-128-scales"].uploads is False
    job = ask(shop, "3")
    assert draw_next(shop.studio) == 1
    done = shop.read(job)
    assert done.state is State.DONE, done.detail
    assert shop.file(job).startswith(b"\x89PNG")
    shop.check()


def test_a_job_comes_before_the_model_was_noticed(shop: Shop, tmp_path: Path) -> None:
    tiny.bring(shop.folder, tmp_path / "tiny")
    job = ask(shop, "3")
    draw_next(shop.studio)
    assert shop.read(job).state is State.DONE


def test_a_prompt_that_names_no_class_fails_its_own_job_and_is_not_repeated(
    shop: Shop, tmp_path: Path
) -> None:
    tiny.bring(shop.folder, tmp_path / "tiny")
    bad, good = ask(shop, "a secret"), ask(shop, "4")
    assert draw_next(shop.studio) == 2
    refused = shop.read(bad)
    assert (refused.state, refused.fault) == (State.FAILED, Fault.BAD_WISH)
    assert refused.detail == (
        "it cannot be asked by this prompt: tiny draws one of 5 classes, by number, 48 px"
    )
    assert shop.read(good).state is State.DONE
    alone = ask(shop, "5")
    assert draw_next(shop.studio) == 1
    assert shop.read(alone).fault is Fault.BAD_WISH


def test_a_policy_of_words_does_not_let_a_model_of_numbers_draw(shop: Shop, tmp_path: Path) -> None:
    """Nobody knows whether class 3 is a gun, so without a checker nothing leaves."""
    tiny.bring(shop.folder, tmp_path / "tiny")
    shop.ban()
    job = ask(shop, "3")
    draw_next(shop.studio)
    found = shop.read(job)
    assert (found.state, found.fault) == (State.FAILED, Fault.POLICY)
    assert "concept 'gun' needs a checker of pictures" in (found.detail or "")


def test_what_cannot_be_loaded_is_left_out_and_the_log_says_why(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    card = tiny.bring(shop.folder, tmp_path / "tiny")
    tiny.bring(shop.folder, tmp_path / "tiny", name="second")
    models = shop.folder.path / "models"
    weights = models / "tiny" / "transformer.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (models / "second" / "card.json").write_bytes(card.text()[:-9])
    with caplog.at_level(logging.WARNING):
        assert names(shop) == ["icons-128", "icons-128-scales"]
        assert names(shop) == ["icons-128", "icons-128-scales"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2  # once each, not every time
    assert "the model second is not drawn with" in said[0]
    assert "transformer.safetensors was altered" in said[1]


def test_what_may_not_be_used_commercially_is_left_out(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny.bring(shop.folder, tmp_path / "tiny", licence="CC-BY-NC-4.0")
    declare_commercial(shop.folder)
    with caplog.at_level(logging.WARNING):
        assert "tiny" not in names(shop)
    assert "not known to allow commercial use" in caplog.text


def test_a_model_that_comes_with_the_package_must_load(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(
        catalog.GENERATORS["icons-128-scales"],
        transformer=replace(catalog.GENERATORS["icons-128"].transformer, digest=bytes(32)),
    )
    monkeypatch.setitem(catalog.GENERATORS, "icons-128-scales", spec)
    with pytest.raises(BadWeights, match=r"icons-128\.safetensors has SHA-256"):
        shop.studio.take_in()


def test_a_model_called_as_one_of_ours_takes_its_place_nowhere(shop: Shop, tmp_path: Path) -> None:
    card = tiny.bring(shop.folder, tmp_path / "tiny")
    models, known = shop.folder.path / "models", catalog.GENERATORS["icons-128"]
    (models / "tiny").rename(models / "icons-128")
    (models / "icons-128" / "card.json").write_bytes(replace(card, name="icons-128").text())
    assert names(shop) == ["icons-128", "icons-128-scales"]
    assert catalog.GENERATORS["icons-128"] is known


def test_steps_are_taken_as_the_settings_say(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A compiled step draws the picture, and halves, which cannot be compiled, are left out."""
    tiny.bring(shop.folder, tmp_path / "tiny")
    tiny.bring(shop.folder, tmp_path / "tiny", name="halves", weights="half")
    settings = replace(read_settings({"COUNTERMARK_STEPS": "compile"}, shop.folder.path))
    with caplog.at_level(logging.WARNING):
        studio = open_studio(Station(settings, shop.folder, shop.blobs, shop.studio.stop))
    assert sorted(studio.loaded) == ["icons-128", "icons-128-scales", "tiny"]
    assert "halves cannot be drawn with COUNTERMARK_STEPS=compile" in caplog.text
    model = studio.generator("tiny").model
    assert isinstance(model, LlamaGenModel)
    assert model.stepping is Stepping.COMPILE


def test_graphs_need_a_device_that_has_them(shop: Shop) -> None:
    settings = replace(read_settings({"COUNTERMARK_STEPS": "graphs"}, shop.folder.path))
    with pytest.raises(BadSetting, match="COUNTERMARK_STEPS: graphs need COUNTERMARK_DEVICE=cuda"):
        open_studio(Station(settings, shop.folder, shop.blobs, shop.studio.stop))


def test_a_device_that_is_not_there_is_named(shop: Shop) -> None:
    settings = replace(read_settings({}, shop.folder.path), device="cuda:99")
    with pytest.raises(BadSetting, match="COUNTERMARK_DEVICE"):
        open_studio(Station(settings, shop.folder, shop.blobs, shop.studio.stop))
