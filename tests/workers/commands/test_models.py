"""`countermark models`: weights are recognised, measured, kept, drawn with; or refused."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from generators.catalog import GENERATORS, load_generator
from generators.erasure import Away, Branch, Schedule
from generators.sampling import Erasure, Request, Sampling, Unerased, Unmarked, draw
from tests.generators.checkpoints.parity import vectors
from tests.generators.test_t5 import saved
from tests.workers import tiny
from tests.workers.commands.hub import serving
from workers.command import main

HEADS = ("--side", str(tiny.SIDE), "--heads", "2", "--licence", "MIT")
READ = ("--text-encoder", "t5", "--encoder-licence", "Apache-2.0")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder, and beside it LlamaGens of 64 codes whose codec reads what they drew.

    One is asked by class, one by text, through the T5 beside them.
    """
    place = tmp_path_factory.mktemp("home")
    tiny.write(place / "tiny")
    by_text = {"classes": 0, "prefix": 12, "caption_dim": 16}
    tiny.write(place / "tiny-text", by_text, file="t2i_tiny.pt")
    for name in ("llamagen_vq", "llamagen_t2i", "var_vqvae"):
        save_file(vectors(name)[0], place / f"{name}.safetensors")
    saved(place / "t5")
    with tiny.catalog(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERMARK_DATA", str(place / "data"))
        patch.chdir(place)
        assert main(["init"]) == 0
        yield place


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
    for part in ("llamagen, 5 classes, 48 px, 24 x 24 tokens", "MB of weights", "s for the tokens"):
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
    assert capsys.readouterr().out.startswith("tiny  llamagen  48 px  MIT  read back ")


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
    assert found["mark"]["models"] == ["tiny"]
    assert found["mark"]["trials"] == 2 * 8 * 2  # schemes, lists, and the picture as it lies
    assert found["mark"]["search"]["windows_scanned"] == 0
    assert main(["verify", "a.png", "--json"]) == 0
    among = json.loads(capsys.readouterr().out)["mark"]
    assert (among["model"], among["p"]) == ("tiny", found["mark"]["p"])
    assert {"icons-128", "icons-128-scales", "tiny"} <= set(among["models"])
    assert among["p_corrected"] > found["mark"]["p_corrected"]  # the trials of all are paid for
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
    capsys.readouterr()
    assert main(["verify", "c.png", "--json"]) == 0
    told = capsys.readouterr()
    assert list(json.loads(told.out)["mark"]["models_left_out"]) == ["torn"]
    assert "marks of torn are not looked for: " in told.err
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
    assert "tiny-text is asked by text: name the T5 encoder" in add("tiny-text", *HEADS)
    assert "b is asked by class: --text-encoder is not" in add("tiny", *HEADS, *READ, "--name", "b")
    for half in (READ[:2], READ[2:]):
        assert "are said together or not at all" in add("tiny-text", *HEADS, *half)
    elsewhere = ("--text-encoder", "tiny", *READ[2:])
    assert "as c2i_tiny.pt, which is not opened" in add("tiny-text", *HEADS, *elsewhere)
    told = "llamagen_t2i.safetensors", "tiny/vq_tiny.safetensors", "--name", "b"
    assert "text states of 48 numbers, and t5 gives 16" in add(*told, *HEADS, *READ)
    assert not list((home / "data").rglob("encoder"))


@pytest.fixture(scope="module")
def read(home: Path) -> Path:
    """The folder of the model by text once it was added."""
    assert main(["models", "add", "tiny-text", *HEADS, *READ]) == 0
    return home / "data" / "models" / "tiny-text"


def generate(prompt: str, out: str) -> int:
    """Generate with the model by text."""
    seed = ("--seed", "1", "--mark", "both")
    return main(["generate", prompt, "--model", "tiny-text", *seed, "--out", out])


def test_a_model_by_text_is_kept_with_its_encoder(
    read: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = json.loads((read / "card.json").read_text())
    assert (card["prompts"], card["encoder_licence"]) == ("text", "Apache-2.0")
    assert card["read_back"][0] > 0.6
    files = {f"encoder/{file.name}" for file in (read / "encoder").iterdir()}
    assert files == set(card["beside"])
    for name, digest in card["beside"].items():
        assert sha256((read / name).read_bytes()).hexdigest() == digest
        brought = sha256((home / "t5" / Path(name).name).read_bytes()).hexdigest()
        assert card["sources"][name] == brought
    sizes = [load_file(file) for file in read.glob("*/model.safetensors")]
    sizes += [load_file(read / f"{part}.safetensors") for part in ("transformer", "codec")]
    assert card["memory"] == 4 * sum(one.numel() for part in sizes for one in part.values())
    capsys.readouterr()
    assert main(["models", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert "tiny-text  llamagen  48 px  MIT with Apache-2.0  read back" in listed[-1]
    assert main(["models", "add", "tiny-text", *HEADS, *READ, "--name", "b", "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert "b: llamagen, asked by text, 48 px" in said
    assert "MIT with Apache-2.0 allows commercial use" in said


def test_it_is_drawn_with_by_text_and_its_mark_verified(
    read: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate("a red car", "text.png") == 0
    assert GENERATORS["tiny-text"].draws == "what a text says, 48 px"
    assert generate("an owl", "other.png") == 0
    assert (home / "text.png").read_bytes() != (home / "other.png").read_bytes()
    capsys.readouterr()
    assert main(["verify", "text.png", "--model", "tiny-text", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mark"]["model"] == "tiny-text"
    assert found["mark"]["p_corrected"] < 1e-6


def test_a_prompt_decides_what_is_drawn_and_what_it_is_drawn_away_from(read: Path) -> None:
    assert generate("a cat", "cat.png") == 0  # puts it into the catalog
    model, codec = (made := load_generator("tiny-text")).model, made.codec

    def tokens(prompt: str, guidance: float, erasure: Erasure) -> bytes:
        request = Request(prompt, 1, Sampling(guidance, 1.0, 64, 1.0))
        marks = [Unmarked()]
        (drawn,) = draw(model, codec, [request], erasures=[erasure], watermarks=marks)
        return drawn.tokens.tobytes()

    plain = tokens("a cat", 2.0, Unerased())
    assert plain == tokens("a cat", 2.0, Unerased())
    pushed = Away([Branch("owl", "an owl", Schedule(opening=1.0))])
    others = [
        tokens("a red owl", 2.0, Unerased()),
        tokens("a cat", 6.0, Unerased()),
        tokens("a cat", 2.0, pushed),
    ]
    assert len({plain, *others}) == 4
    assert pushed.evidence[0].concept == "owl"


def test_a_policy_steers_by_text_and_what_would_be_projected_out_fails_the_job(
    read: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near = {"name": "owl", "phrases": ["an owl"], "near": 0.1, "certain": 0.99}
    (home / "near.json").write_text(json.dumps({"concepts": [near]}))
    assert main(["concepts", "load", "near.json"]) == 0
    capsys.readouterr()
    assert generate("a bird on a tree", "away.png") == 0
    assert "policy: owl: steered, for the prompt" in capsys.readouterr().err
    assert generate("an owl on a tree", "b.png") == 2
    assert "LlamaGen's text states cannot have phrases projected out" in capsys.readouterr().err
    assert main(["concepts", "lift", "owl"]) == 0


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_an_encoder_altered_since_is_refused(
    read: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = read / "encoder" / name
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    said = refused(capsys, "generate", "a cat", "--model", "tiny-text", "--out", "b.png")
    file.unlink()
    gone = refused(capsys, "generate", "a cat", "--model", "tiny-text", "--out", "b.png")
    file.write_bytes(data)
    assert f"encoder/{name} was altered" in said
    assert f"encoder/{name}: No such file" in gone


def test_declared_commercial_an_encoder_of_another_licence_is_refused(
    read: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    research = (*READ[:2], "--encoder-licence", "CC-BY-NC-4.0", "--name")
    assert main(["models", "add", "tiny-text", *HEADS, *research, "read-nc"]) == 0
    assert main(["models", "commercial"]) == 0
    said = refused(capsys, "generate", "a cat", "--model", "read-nc", "--out", "b.png")
    assert "its text encoder under 'CC-BY-NC-4.0', which is not known to allow" in said
    again = refused(capsys, "models", "add", "tiny-text", *HEADS, *research, "again")
    assert "its text encoder under 'CC-BY-NC-4.0'" in again
    assert generate("a cat", "c.png") == 0
    (home / "data" / "commercial").unlink()


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


@pytest.fixture
def encoder_hub(home: Path) -> Iterator[str]:
    """The address of a hub that holds the encoder, and the same as a pickle and with code."""
    files = {file.name: file.read_bytes() for file in (home / "t5").iterdir()}
    more = {"pytorch_model.bin": b"not wanted", "code.py": b"not wanted"}
    with serving("someone/t5", {**files, **more}) as address:
        yield address


def add_from(hub: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Tried in a process of its own: the library reads where the hub is when it is imported."""
    return subprocess.run(
        [sys.executable, "-m", "workers.command", "models", "add", *arguments, *HEADS]
        + ["--name", "fetched", "--dry-run"],
        env=os.environ | {"HF_ENDPOINT": hub, "HF_HOME": str(home / "hub")},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_is_fetched_from_the_hub_by_its_id(hub: str, home: Path) -> None:
    found = add_from(hub, home, "someone/tiny")
    assert found.returncode == 0, found.stderr
    assert "fetched: llamagen, 5 classes, 48 px" in found.stderr
    assert not list((home / "hub").rglob("README.md"))
    missing = add_from(hub, home, "someone/else")
    assert missing.returncode == 2
    assert "the Hugging Face hub does not give it: RepositoryNotFoundError" in missing.stderr


def test_an_encoder_is_fetched_from_the_hub_without_what_could_run(
    encoder_hub: str, home: Path
) -> None:
    reading = ("--text-encoder", "someone/t5", *READ[2:])
    found = add_from(encoder_hub, home, str(home / "tiny-text"), *reading)
    assert found.returncode == 0, found.stderr
    assert "fetched: llamagen, asked by text, 48 px" in found.stderr
    (place,) = (home / "hub").rglob("snapshots/*/config.json")
    fetched = {file.name for file in place.parent.iterdir()}
    assert fetched == {"config.json", "tokenizer.json", "model.safetensors"}


def test_declared_commercial_weights_of_other_licences_are_refused(
    kept: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    research = (*HEADS[:5], "CC-BY-NC-4.0", "--name", "research")
    assert main(["models", "add", "tiny", *research]) == 0
    assert main(["models", "commercial"]) == 0
    said = refused(capsys, "generate", "1", "--model", "research", "--out", "b.png")
    assert "under 'CC-BY-NC-4.0', which is not known to allow commercial use" in said
    again = refused(capsys, "models", "add", "tiny", *research[:-1], "again")
    assert "not known to allow commercial use" in again
    assert main(["generate", "1", "--model", "tiny", "--mark", "both", "--out", "c.png"]) == 0
    (home / "data" / "commercial").unlink()
