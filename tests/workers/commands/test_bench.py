"""`countermark bench robustness` marks, attacks and reports, or says in one line why not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.commands.toy_model import installation
from tests.workers.uploads import flat, photograph, toy
from workers.command import main

QUICK = ["--model", "toy", "--search", "quick", "--preset", "indexmark"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("home")
    with installation(place, toy(place)[0]) as folder:
        for name in ("pictures", "mixed", "empty", "cut", "small", "grey"):
            (folder / name).mkdir()
        for seed in range(3):
            (folder / "pictures" / f"{seed}.jpg").write_bytes(photograph(seed=seed, kind="JPEG"))
        (folder / "mixed" / "flat.png").write_bytes(flat())
        (folder / "mixed" / "good.webp").write_bytes(photograph(kind="WEBP"))
        (folder / "mixed" / "notes.txt").write_text("not a picture, and not meant to be one")
        (folder / "cut" / "a.jpg").write_bytes(photograph())
        (folder / "cut" / "b.jpg").write_bytes(photograph(kind="JPEG")[:900])
        (folder / "small" / "s.png").write_bytes(photograph(64, 60))
        (folder / "grey" / "flat.png").write_bytes(flat())
        yield folder


def measured(folder: Path) -> dict[str, list[int]]:
    """Attack -> how many were found at each threshold."""
    (table,) = json.loads((folder / "report.json").read_text())["tables"]
    return {row["attack"]: [rate["found"] for rate in row["rates"]] for row in table["rows"]}


def test_pictures_are_marked_attacked_and_reported(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "robustness", "--images", "mixed", "--out", "mix", *QUICK]) == 0
    report = json.loads((home / "mix" / "report.json").read_text())
    (table,) = report["tables"]
    assert table["pictures"] == 1
    assert [threshold["name"] for threshold in table["thresholds"]] == ["p <= 0.001", "p <= 1e-06"]
    assert len(table["rows"]) == 7
    assert measured(home / "mix")["none"] == [1, 1]
    refused = "flat.png, which is not marked: the picture is too flat"
    assert any(refused in reason for reason in report["left_out"])
    least = re.search(r"posthoc/2 of toy, ([\d.]+) dB at the least, quick search", table["method"])
    assert least is not None
    assert float(least[1]) >= 35
    page = (home / "mix" / "report.html").read_text()
    assert "brightness-jitter-0.5" in page
    assert "flat.png" in page
    shown = capsys.readouterr()
    assert "1 pictures, 7 attacks" in shown.out
    assert "left out: flat.png" in shown.out
    assert "7/7" in shown.err


def test_marked_pictures_are_taken_as_they_are(home: Path) -> None:
    bench = ["bench", "robustness", *QUICK]
    assert main([*bench, "--images", "pictures", "--out", "out", "--limit", "2"]) == 0
    names = sorted(path.name for path in (home / "out" / "marked").iterdir())
    assert names == ["0.jpg.png", "1.jpg.png"]
    assert main([*bench, "--images", "out/marked", "--out", "again", "--marked"]) == 0
    assert measured(home / "again") == measured(home / "out")
    assert not (home / "again" / "marked").exists()
    assert main([*bench, "--images", "pictures", "--out", "plain", "--marked"]) == 0
    assert measured(home / "plain")["none"] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--images", "no"], "--images: there is no folder no"),
        (["--images", "empty"], "no PNG, JPEG or WebP picture in empty"),
        (["--images", "pictures", "--limit", "0"], "--limit must be at least 1, not 0"),
        (["--images", "pictures", "--preset", "x"], "no preset 'x'; there are house"),
        (["--images", "cut"], "cut/b.jpg: damaged or cut short"),
        (["--images", "small"], "small/s.png: 60 x 64 px, the attacks need 64 px a side"),
        (["--images", "grey"], "none of the 1 pictures is marked; flat.png"),
    ],
)
def test_bad_input_is_one_line_and_no_report(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    capsys.readouterr()
    assert main(["bench", "robustness", "--out", "bad", *QUICK, *arguments]) == 2
    (line,) = (row for row in capsys.readouterr().err.splitlines() if row.startswith("counterm"))
    assert says in line
    assert not (home / "bad" / "report.json").exists()
