"""`countermark models` with a Janus: kept, drawn with by text, its mark verified; or refused."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import JanusForConditionalGeneration

from generators.cards import read_card
from generators.catalog import GENERATORS, load_codec, load_generator
from generators.erasure import Away, Branch, Schedule
from generators.guidance import mix
from generators.huggingface.causal import CausalModel
from generators.interface import Prompt
from generators.sampling import Erasure, Request, Sampling, Unerased, Unmarked, draw
from tests.generators.huggingface import tiny
from tests.workers.commands.hub import serving
from tests.workers.commands.test_models import refused
from tests.workers.tiny import catalog
from workers.command import main

SIDE = 32  # tokens
LICENCE = ("--licence", "MIT")
FILES = {"config.json", "generation_config.json", "tokenizer.json"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder, and beside it a Janus whose codec reads what it drew."""
    place = tmp_path_factory.mktemp("home")
    tiny.save_janus(place / "janus", side=SIDE)
    with catalog(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERMARK_DATA", str(place / "data"))
        patch.chdir(place)
        assert main(["init"]) == 0
        yield place


@pytest.fixture(scope="module")
def kept(home: Path) -> Path:
    """The folder of the model once it was added."""
    assert main(["models", "add", "janus", *LICENCE, "--name", "pro"]) == 0
    return home / "data" / "models" / "pro"


def generate(prompt: str, out: str, *, model: str = "pro") -> int:
    """Generate, with both marks."""
    seed = ("--seed", "1", "--mark", "both")
    return main(["generate", prompt, "--model", model, *seed, "--out", out])


@pytest.fixture(scope="module")
def drawn(kept: Path, home: Path) -> str:
    """A picture of the model's, and the model in the catalog."""
    assert generate("a red cat", "cat.png") == 0
    return "cat.png"


def verify(file: str, capsys: pytest.CaptureFixture[str]) -> float:
    """The p-value of the model's mark."""
    capsys.readouterr()
    assert main(["verify", file, "--model", "pro", "--json"]) == 0
    mark = json.loads(capsys.readouterr().out)["mark"]
    assert mark["model"] == "pro"
    return float(mark["p_corrected"])


def test_a_dry_run_tells_memory_and_speed_and_keeps_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "add", "janus", *LICENCE, "--layout", "janus", "--dry-run"]) == 0
    said = capsys.readouterr().err
    assert "janus: janus, asked by text, 64 px, 32 x 32 tokens; " in said
    assert "MIT allows commercial use" in said
    assert not (home / "data" / "models" / "janus").exists()


def test_it_is_kept_without_what_understands_pictures(
    kept: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = json.loads((kept / "card.json").read_text())
    assert (card["layout"], card["prompts"], card["stride"]) == ("janus", "text", 2)
    assert card["encoder_licence"] == ""
    assert card["read_back"][0] > 0.8
    assert card["sources"].keys() == FILES | {"model.safetensors"}
    assert card["beside"].keys() == {f"janus/{name}" for name in FILES}
    assert {file.name for file in (kept / "janus").iterdir()} == FILES
    for name, digest in card["beside"].items():
        assert sha256((kept / name).read_bytes()).hexdigest() == digest
        assert card["sources"][Path(name).name] == digest
    parts = [load_file(kept / f"{part}.safetensors") for part in ("transformer", "codec")]
    assert card["memory"] == 4 * sum(one.numel() for part in parts for one in part.values())
    brought = load_file(home / "janus" / "model.safetensors")
    unread = {key for key in brought if key.startswith(("model.vision_model", "model.aligner"))}
    assert parts[0].keys() == {key for key in brought if "vqmodel" not in key} - unread
    assert len(unread) > 10
    capsys.readouterr()
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out.startswith("pro  janus  64 px  MIT  read back ")


def test_it_is_drawn_with_by_text_and_its_mark_verified(
    drawn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate("an owl", "owl.png") == 0
    assert GENERATORS["pro"].draws == "what a text says, 64 px"
    assert GENERATORS["pro"].licence == "MIT"
    assert Path(drawn).read_bytes() != Path("owl.png").read_bytes()
    assert verify(drawn, capsys) < 1e-6


def test_verifying_loads_the_codec_alone(
    kept: Path, drawn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (kept / "transformer.safetensors").read_bytes()
    (kept / "transformer.safetensors").write_bytes(b"damaged")
    found = verify(drawn, capsys)
    said = refused(capsys, "generate", "a cat", "--model", "pro", "--out", "b.png")
    (kept / "transformer.safetensors").write_bytes(whole)
    assert found < 1e-6
    assert "transformer.safetensors was altered" in said


@pytest.mark.parametrize("name", sorted(f"janus/{name}" for name in FILES) + ["codec.safetensors"])
def test_files_altered_since_are_refused(
    kept: Path, drawn: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (kept / name).read_bytes()
    (kept / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    said = [
        refused(capsys, "generate", "a cat", "--model", "pro", "--out", "b.png"),
        refused(capsys, "verify", drawn, "--model", "pro"),
    ]
    (kept / name).unlink()
    gone = refused(capsys, "generate", "a cat", "--model", "pro", "--out", "b.png")
    (kept / name).write_bytes(data)
    assert all(f"{name} was altered" in one for one in said)
    assert f"{name}: No such file" in gone


def likeliest(model: CausalModel, prompts: list[Prompt], guidance: float) -> torch.Tensor:
    """Tokens (B, T), the likeliest at every step."""
    with torch.inference_mode():
        run = model.open(prompts)
        while (proposal := run.propose()) is not None:
            tokens = mix(proposal.logits[0], proposal.logits[1], guidance).argmax(-1)
            run.commit(tokens, tokens)
    return run.tokens().flatten(1)


def test_tokens_are_those_of_the_librarys_own_generate(drawn: str, home: Path) -> None:
    texts = ["a red cat", "owl"]
    model = load_generator("pro").model
    assert isinstance(model, CausalModel)
    mine = likeliest(model, [Prompt(text) for text in texts], 3.0)
    words, theirs = tiny.words(), JanusForConditionalGeneration.from_pretrained(home / "janus")
    told = theirs.generation_config  # the library forgets what its own file says
    told.pad_token_id, told.bos_token_id = tiny.PAD, tiny.BOS
    told.generation_kwargs = {"boi_token_id": tiny.BOI}  # type: ignore[attr-defined]
    words.enable_padding(direction="left", pad_id=tiny.PAD, pad_token="<pad>")
    rows = words.encode_batch(
        [f"<|User|>: {text}\n\n<|Assistant|>:<begin_of_image>" for text in texts]
    )
    batch: dict[str, Any] = {
        "input_ids": torch.tensor([row.ids for row in rows]),
        "attention_mask": torch.tensor([row.attention_mask for row in rows]),
    }
    tokens = theirs.generate(**batch, generation_mode="image", do_sample=False, guidance_scale=3.0)
    assert len(tokens.unique()) > 5, "it must have something to disagree about"
    assert torch.equal(mine, tokens)
    assert torch.equal(
        load_codec("pro").decode(tokens.reshape(2, SIDE, SIDE)),
        theirs.decode_image_tokens(tokens).permute(0, 3, 1, 2).clamp(-1, 1) / 2 + 0.5,
    )


def test_a_prompt_decides_what_is_drawn_and_what_it_is_drawn_away_from(drawn: str) -> None:
    model, codec = (pro := load_generator("pro")).model, pro.codec

    def tokens(prompt: str, erasure: Erasure) -> bytes:
        request = Request(prompt, 1, Sampling(2.0, 1.0, 64, 1.0))
        marks = [Unmarked()]
        (made,) = draw(model, codec, [request], erasures=[erasure], watermarks=marks)
        return made.tokens.tobytes()

    plain = tokens("a cat", Unerased())
    assert plain == tokens("a cat", Unerased())
    pushed = Away([Branch("owl", "an owl", Schedule(opening=1.0))])
    others = [tokens("a red owl", Unerased()), tokens("a cat", pushed)]
    others += [tokens("a <begin_of_image> cat", Unerased())]
    assert len({plain, *others}) == 4
    assert pushed.evidence[0].concept == "owl"


def test_what_would_be_projected_out_fails_the_job(
    kept: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    near = {"name": "owl", "phrases": ["an owl"], "near": 0.1, "certain": 0.99}
    (home / "near.json").write_text(json.dumps({"concepts": [near]}))
    assert main(["concepts", "load", "near.json"]) == 0
    capsys.readouterr()
    assert generate("a bird on a tree", "away.png") == 0
    assert "policy: owl: steered, for the prompt" in capsys.readouterr().err
    assert generate("an owl on a tree", "b.png") == 2
    assert "cannot be projected out of a language model's prompt" in capsys.readouterr().err
    assert main(["concepts", "lift", "owl"]) == 0


def test_what_does_not_fit_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def add(*arguments: str) -> str:
        return refused(capsys, "models", "add", *arguments, *LICENCE, "--name", "b")

    def changed(name: str, **more: object) -> str:
        shutil.copytree(home / "janus", home / name)
        config = json.loads((home / name / "config.json").read_text())
        (home / name / "config.json").write_text(json.dumps({**config, **more}))
        return name

    assert "janus has the layout janus, not var" in add("janus", "--layout", "var")
    assert "a Janus is one folder, and 2 paths are named" in add("janus", "janus")
    assert "b: weights of Janus are kept in single" in add("janus", "--weights", "half")
    reading = ("--text-encoder", "janus", "--encoder-licence", "MIT")
    assert "b reads its prompts itself: --text-encoder is not for it" in add("janus", *reading)
    assert "no file has the SHA-256 00" in add("janus", "--sha256", "00")
    weights = "janus/model.safetensors"
    assert "is of a Janus: bring its folder, whose config.json" in add(weights)
    assert "holds no Janus: config.json: Not a directory" in add(weights, "--layout", "janus")
    emu = changed("emu", model_type="emu3")
    assert "emu holds no Janus: config.json names the model 'emu3'" in add(emu, "--layout", "janus")
    assert "is of a Janus: bring its folder, whose config.json says so" in add(emu)
    sizes = changed("sizes", text_config={"hidden_size": "32"})
    assert "sizes holds no Janus: hidden_size is '32' in config.json" in add(sizes)
    part = changed("part")
    tensors = load_file(home / part / "model.safetensors")
    del tensors["model.vqmodel.quant_conv.bias"]
    save_file(tensors, home / part / "model.safetensors")
    assert "the VQ model of" in (said := add(part))
    assert "does not fit: quant_conv.bias is missing" in said
    (home / part / "model.safetensors").rename(home / part / "pytorch_model.bin")
    assert "as pytorch_model.bin, which is not opened" in add(part)
    (home / part / "tokenizer.json").unlink()
    assert "part holds no Janus: tokenizer.json: No such file" in add(part)
    assert not (home / "data" / "models" / "b").exists()


def test_a_janus_is_fetched_from_the_hub_without_what_could_run(home: Path) -> None:
    files = {file.name: file.read_bytes() for file in (home / "janus").iterdir()}
    more = {"README.md": b"not wanted", "code.py": b"not wanted", "preprocessor_config.json": b"{}"}
    with serving("someone/janus", {**files, **more}) as address:
        found = subprocess.run(
            [sys.executable, "-m", "workers.command", "models", "add", "someone/janus", *LICENCE]
            + ["--name", "fetched", "--dry-run"],
            env=os.environ | {"HF_ENDPOINT": address, "HF_HOME": str(home / "hub")},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )
    assert found.returncode == 0, found.stderr
    assert "fetched: janus, asked by text, 64 px" in found.stderr
    (place,) = (home / "hub").rglob("snapshots/*/config.json")
    assert {file.name for file in place.parent.iterdir()} == FILES | {"model.safetensors"}


def test_declared_commercial_weights_of_another_licence_are_refused(
    kept: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    research = ("--licence", "LicenseRef-DeepSeek", "--name")
    place = Path(shutil.copytree(kept, kept.with_name("research")))
    card = replace(read_card(kept), name="research", licence=research[1])
    (place / "card.json").write_bytes(card.text())
    assert main(["models", "commercial"]) == 0
    said = refused(capsys, "generate", "a cat", "--model", "research", "--out", "b.png")
    assert "its weights under 'LicenseRef-DeepSeek', which is not known to allow" in said
    again = refused(capsys, "models", "add", "janus", *research, "again")
    assert "not known to allow commercial use" in again
    assert generate("a cat", "c.png") == 0
    (home / "data" / "commercial").unlink()
