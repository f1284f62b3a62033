"""`countermark mark` writes a file that `countermark verify` finds, or one line and nothing."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.commands.toy_model import installation
from tests.workers.uploads import flat, photograph, toy
from workers.command import main

TOY = ["--model", "toy"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("home")
    with installation(place, toy(place)[0]) as folder:
        (folder / "photo.jpg").write_bytes(photograph(203, 150, kind="JPEG"))
        (folder / "flat.png").write_bytes(flat())
        yield folder


def test_a_photograph_is_marked_and_verified(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mark", "photo.jpg", "--out", "m.png", "--proof", *TOY]) == 0
    line = capsys.readouterr().out
    shown = re.search(r"PSNR ([\d.]+) dB, SSIM [01]\.\d+, perceptual distance 0\.\d+", line)
    assert shown is not None
    assert float(shown[1]) >= 35
    assert main(["verify", "m.png", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"]["outcome"] == "marked on request, intact"
    assert (home / "m.tlog-proof").read_bytes().startswith(b"c2sp.org/tlog-proof")
    found = said["mark"]
    assert f"carries record number {found['number']}" in line
    assert (found["outcome"], found["scheme"]) == ("detected", "posthoc/2")
    assert f"{found['p_corrected']:.1e}" in line
    assert found["key"] in line


def test_a_key_is_chosen_by_its_id(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mark", "photo.jpg", "--out", "a.png", *TOY]) == 0
    key = re.search(r"mark of key (\S+),", capsys.readouterr().out)
    assert key is not None
    assert main(["mark", "photo.jpg", "--out", "b.png", "--key", key[1], *TOY]) == 0
    assert f"mark of key {key[1]}," in capsys.readouterr().out


def test_a_picture_without_room_for_a_number_is_marked_and_the_caller_is_told(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "small.png").write_bytes(photograph(72, 72))
    assert main(["mark", "small.png", "--out", "s.png", *TOY]) == 0
    assert "no room for a record number" in capsys.readouterr().out
    assert main(["verify", "s.png", "--json", *TOY]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["mark"]["number"], said["verdict"]["outcome"]) == (
        None,
        "marked on request, intact",
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["photo.jpg", "--out", "m.gif"], "--out must end in .png, .jpg, .jpeg, .webp"),
        (["photo.jpg", "--out", "bad.png", "--quality", "9"], "--quality is for JPEG and WebP"),
        (["photo.jpg", "--out", "bad.jpg", "--quality", "1"], "does not find the mark"),
        (["photo.jpg", "--out", "photo.jpg"], "would replace the original"),
        (["photo.jpg", "--out", "no/m.png"], "there is no folder no"),
        (["photo.jpg", "--out", "bad.png", "--key", "x"], "no mark key has the id 'x'"),
        (["none.jpg", "--out", "bad.png"], "none.jpg: cannot be opened"),
        (["flat.png", "--out", "bad.png"], "too flat"),
        (["flat.png", "--out", "./flat.png"], "would replace the original"),
        (["data/keys.json", "--out", "bad.png"], "not a PNG, JPEG or WebP picture"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    capsys.readouterr()
    before = {path: path.read_bytes() for path in home.iterdir() if path.is_file()}
    assert main(["mark", *arguments, *TOY]) == 2
    (line,) = (row for row in capsys.readouterr().err.splitlines() if row.startswith("counterm"))
    assert says in line
    assert {path: path.read_bytes() for path in home.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("out", ["m.jpeg", "m.webp"])
def test_a_marked_file_in_another_format_is_verified(
    home: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    assert main(["mark", "photo.jpg", "--out", out, "--quality", "95", *TOY]) == 0
    capsys.readouterr()
    assert main(["verify", out, "--json", *TOY]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"]["outcome"] == "marked on request, intact"
