"""`countermark models`: weights are recognised, measured, kept, drawn with; or refused."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from generators.catalog import DAMAGED, GENERATORS
from generators.gpt import LlamaGenConfig, LlamaGenTransformer
from tests.generators.checkpoints.parity import VECTORS, vectors
from tests.workers.commands.hub import serving
from workers.command import main

HEADS = ("--heads", "2", "--licence", "MIT")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder, and beside it a LlamaGen of 64 codes whose codec reads what it drew."""
    place = tmp_path_factory.mktemp("home")
    torch.manual_seed(0)
    transformer = LlamaGenTransformer(LlamaGenConfig(64, 16, 32, 1, 2, 64, classes=5))
    (place / "tiny").mkdir()
    torch.save({"model": transformer.state_dict()}, place / "tiny" / "c2i_tiny.pt")
    codec = load_file(VECTORS / "tiny_vqgan.safetensors")
    save_file(codec, place / "tiny" / "vq_tiny.safetensors")
    for name in ("llamagen_vq", "llamagen_t2i", "var_vqvae"):
        save_file(vectors(name)[0], place / f"{name}.safetensors")
    known = dict(GENERATORS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERMARK_DATA", str(place / "data"))
        patch.chdir(place)
        assert main(["init"]) == 0
        yield place
    GENERATORS.clear()
    GENERATORS.update(known)
    DAMAGED.clear()


@pytest.fixture(scope="module")
def kept(home: Path) -> Path:
    """The folder of the model once it was added."""
    assert main(["models", "add", "tiny", *HEADS]) == 0
    return home / "data" / "models" / "tiny"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that fails."""
    capsys.readouterr()
    assert main(list(arguments)) == 2
    (line,) = (row for row in capsys.readouterr().err.splitlines() if row.startswith("counterm"))
    return line


def test_a_dry_run_tells_memory_and_speed_and_keeps_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "add", "tiny", *HEADS, "--name", "dry", "--dry-run"]) == 0
    said = capsys.readouterr().err
    for part in ("llamagen, 5 classes, 32 px, 16 x 16 tokens", "MB of weights", "s for the tokens"):
        assert part in said
    assert not (home / "data" / "models" / "dry").exists()


def test_where_nothing_was_added_nothing_is_listed(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERMARK_DATA", str(home / "empty"))
    assert main(["init"]) == 0
    capsys.readouterr()
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out == ""


def test_what_was_added_has_a_card_and_is_listed(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = json.loads((kept / "card.json").read_text())
    assert card["layout"] == "llamagen"
    assert card["licence"] == "MIT"
    assert card["sources"].keys() == {"c2i_tiny.pt", "vq_tiny.safetensors"}
    assert card["read_back"][0] > 0.6
    capsys.readouterr()
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out.startswith("tiny  llamagen  32 px  MIT  read back ")


def test_it_is_drawn_with_by_class_and_its_mark_verified(
    kept: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = ["generate", "3", "--model", "tiny", "--seed", "1", "--mark", "both", "--out", "a.png"]
    assert main(drawn) == 0
    capsys.readouterr()
    assert main(["verify", "a.png", "--model", "tiny", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mark"]["model"] == "tiny"
    assert found["mark"]["p_corrected"] < 1e-6
    assert "number of a class below 5: 'a cat'" in refused(
        capsys, "generate", "a cat", "--model", "tiny", "--out", "b.png"
    )


def test_weights_altered_since_are_refused(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = kept / "transformer.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    said = refused(capsys, "generate", "3", "--model", "tiny", "--out", "b.png")
    file.write_bytes(data)
    assert "transformer.safetensors was altered" in said


def test_a_damaged_card_stops_its_own_model_only(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = kept.parent / "torn"
    torn.mkdir()
    (torn / "card.json").write_bytes((kept / "card.json").read_bytes()[:-20])
    said = refused(capsys, "generate", "3", "--model", "torn", "--out", "c.png")
    assert "torn/card.json is no card of a model" in said
    assert main(["models", "list"]) == 1
    rows = capsys.readouterr().out.splitlines()
    assert [row.split("  ")[:2] for row in rows][0] == ["tiny", "llamagen"]
    assert rows[1].startswith("torn  cannot be used: ")
    assert main(["generate", "3", "--model", "tiny", "--mark", "both", "--out", "c.png"]) == 0
    (torn / "card.json").unlink()
    torn.rmdir()


def test_what_does_not_fit_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def add(*arguments: str) -> str:
        return refused(capsys, "models", "add", *arguments)

    cut = home / "cut.safetensors"
    cut.write_bytes((home / "tiny" / "vq_tiny.safetensors").read_bytes()[:-50])
    assert "cut short" in add("cut.safetensors", *HEADS)
    assert "no transformer is here" in add("tiny/vq_tiny.safetensors", *HEADS)
    assert "not var" in add("tiny", *HEADS, "--layout", "var", "--name", "b")
    assert "there is no file or folder nowhere, and" in add("nowhere", *HEADS)
    assert "no file has the SHA-256 00" in add("tiny", *HEADS, "--sha256", "00", "--name", "b")
    both = "tiny/c2i_tiny.pt", "llamagen_vq.safetensors"
    assert "are not of one model" in add(*both, *HEADS, "--name", "b")
    other = "tiny/c2i_tiny.pt", "var_vqvae.safetensors"
    assert "unlike layouts" in add(*other, *HEADS, "--name", "b")
    assert "icons-128 is there already" in add("tiny", *HEADS, "--name", "icons-128")
    assert "no name of a model" in add("tiny", *HEADS, "--name", "../up")
    told = "llamagen_t2i.safetensors", "tiny/vq_tiny.safetensors"
    assert "is asked by text" in add(*told, *HEADS, "--name", "b")


def test_a_hub_that_cannot_be_reached_is_one_line(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said = refused(capsys, "models", "add", "FoundationVision/LlamaGen", *HEADS)
    assert "the Hugging Face hub does not give it" in said


@pytest.fixture
def hub(home: Path) -> Iterator[str]:
    """The address of a hub that holds the tiny model, and what else lies in such places."""
    files = {file.name: file.read_bytes() for file in (home / "tiny").iterdir()}
    with serving("someone/tiny", {**files, "README.md": b"not wanted"}) as address:
        yield address


def test_a_model_is_fetched_from_the_hub_by_its_id(hub: str, home: Path) -> None:
    def add(repository: str) -> subprocess.CompletedProcess[str]:
        """In a process of its own: the library reads where the hub is when it is imported."""
        return subprocess.run(
            [sys.executable, "-m", "workers.command", "models", "add", repository, *HEADS]
            + ["--name", "fetched", "--dry-run"],
            env=os.environ | {"HF_ENDPOINT": hub, "HF_HOME": str(home / "hub")},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )

    found = add("someone/tiny")
    assert found.returncode == 0, found.stderr
    assert "fetched: llamagen, 5 classes, 32 px" in found.stderr
    assert not list((home / "hub").rglob("README.md"))
    missing = add("someone/else")
    assert missing.returncode == 2
    assert "the Hugging Face hub does not give it: RepositoryNotFoundError" in missing.stderr


def test_declared_commercial_weights_of_other_licences_are_refused(
    kept: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    research = ("--heads", "2", "--licence", "CC-BY-NC-4.0", "--name", "research")
    assert main(["models", "add", "tiny", *research]) == 0
    assert main(["models", "commercial"]) == 0
    said = refused(capsys, "generate", "1", "--model", "research", "--out", "b.png")
    assert "under 'CC-BY-NC-4.0', which is not known to allow commercial use" in said
    again = refused(capsys, "models", "add", "tiny", *research[:-1], "again")
    assert "not known to allow commercial use" in again
    assert main(["generate", "1", "--model", "tiny", "--mark", "both", "--out", "c.png"]) == 0
    (home / "data" / "commercial").unlink()
