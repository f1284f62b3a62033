import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workers.command import COMMANDS, KNOWN, known, main
from workers.folder import KEYS


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation's data folder, made by `init`, and the working folder beside it."""
    monkeypatch.setenv("COUNTERMARK_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    return tmp_path


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.strip().splitlines()


def test_a_prompt_becomes_a_picture_that_verifies(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "a fox, on a teal background", "--out", "f.png", "--seed", "4"]) == 0
    assert "false-match probability" in capsys.readouterr().out
    with Image.open(home / "f.png") as picture:
        assert picture.size == (128, 128)
    assert main(["verify", "f.png", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"]["outcome"] == "intact"
    assert told["findings"]["manifest"]["state"] == "ours"
    found = told["mark"]
    assert found["outcome"] == "detected"
    assert found["p_corrected"] <= 1e-6
    assert found["p_corrected"] == pytest.approx(found["p"] * found["trials"])
    assert "origin unconfirmed" in found["caveat"]


def test_the_same_seed_gives_the_same_picture_under_a_signature_of_its_own(home: Path) -> None:
    for name in ("a.png", "b.png"):
        assert main(["generate", "a bus", "--out", name, "--seed", "9", "--mark", "both"]) == 0
    with Image.open(home / "a.png") as a, Image.open(home / "b.png") as b:
        assert np.array_equal(np.asarray(a), np.asarray(b))
    assert (home / "a.png").read_bytes() != (home / "b.png").read_bytes()


def test_a_proof_is_written_and_checked_where_there_is_no_database(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "a bus", "--out", "a.png", "--seed", "9", "--proof"]) == 0
    capsys.readouterr()
    assert main(["keys", "list", "--purpose", "log"]) == 0
    vkey = capsys.readouterr().out.split("active: ")[1].strip()
    asked = [sys.executable, "-m", "workers.command", "proof", "check", "a.tlog-proof"]
    elsewhere = dict(os.environ) | {"COUNTERMARK_DATA": str(home / "nowhere")}
    run = subprocess.run(
        [*asked, "--key", vkey], env=elsewhere, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "proven: entry 0" in run.stdout


def test_another_installation_does_not_recognise_the_mark(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "a fox", "--out", "f.png", "--seed", "4"]) == 0
    monkeypatch.setenv("COUNTERMARK_DATA", str(home / "elsewhere"))
    assert main(["init"]) == 0
    assert main(["verify", "f.png", "--search", "quick"]) == 1
    assert "no evidence" in " ".join(capsys.readouterr().out.split())


def test_a_flat_picture_is_inconclusive(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (128, 128), (90, 90, 90)).save("grey.png")
    assert main(["verify", "grey.png", "--json", "--search", "quick"]) == 1
    found = json.loads(capsys.readouterr().out)["mark"]
    assert found["outcome"] == "inconclusive"
    assert "too few distinct codes" in found["reason"]


def bad_files(folder: Path) -> list[str]:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:900])
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    frames = [Image.new("RGB", (16, 16), c) for c in ("red", "blue")]
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:])
    return ["cut.jpg", "text.png", "empty.png", "moving.webp", "missing.png"]


def test_bad_files_get_a_line_each_and_good_ones_are_still_judged(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = bad_files(home)
    capsys.readouterr()
    assert main(["verify", *names, "whole.jpg", "--search", "quick"]) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == len(names)
    for name, line in zip(names, lines, strict=True):
        assert line.startswith(f"countermark: {name}: ")
    assert "whole.jpg" in captured.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["generate", "a fox", "--count", "0"], "--count must be between 1 and 64, not 0"),
        (["generate", "   "], "PROMPT must have 1 to 500 characters"),
        (["generate", "a fox", "--out", "f.gif"], "--out must end in .png"),
        (["generate", "a fox", "--out", "no/f.png"], "there is no folder no"),
        (["generate", "a fox", "--seed", "-1"], "seed must be between 0"),
        (["generate", "a fox", "--model", "x"], "no model is called 'x'; there are: icons-128"),
        (["init"], "holds keys already; nothing was changed"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    capsys.readouterr()
    before = sorted(path.name for path in home.iterdir())
    assert main(arguments) == 2
    lines = [line for line in errors(capsys) if "drawing" not in line]
    assert len(lines) == 1
    assert says in lines[0]
    assert sorted(path.name for path in home.iterdir()) == before


def test_without_keys_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COUNTERMARK_DATA", str(tmp_path / "data"))
    assert main(["verify", "any.png"]) == 2
    assert "run `countermark init` first" in errors(capsys)[0]


def test_keys_that_others_may_read_are_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "data" / KEYS).chmod(0o644)
    capsys.readouterr()
    assert main(["verify", "any.png"]) == 2
    assert "others may read" in errors(capsys)[0]


def test_every_known_error_is_there_and_only_its_own_module_need_be_imported() -> None:
    for name in KNOWN:
        module, _, error = name.rpartition(".")
        assert getattr(import_module(module), error) in known()


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert all(f"\n    {name} " in said for name in COMMANDS)


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["forge"])
    assert left.value.code == 2
    assert "invalid choice: 'forge'" in capsys.readouterr().err
