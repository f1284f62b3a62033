"""`countermark classifier` and `countermark bench forensics`, as a user runs them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from provenance.forensics import treatments
from provenance.forensics.member import WEIGHTS
from provenance.image import encode_png
from tests.provenance.forensics.scenes import scene
from tests.workers.commands.toy_model import installation
from tests.workers.toys import generator
from workers.command import main


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with installation(tmp_path, generator(tmp_path)[0].spec) as folder:
        yield folder


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two treatments and one pipeline, so that it takes seconds."""
    kept = {"native", "zoomed x2", "as it was"}
    for table in (treatments.TREATMENTS, treatments.PIPELINES):
        for name in set(table) - kept:
            monkeypatch.delitem(cast("dict[str, treatments.Treatment]", table), name)


def photographs(folder: Path, count: int) -> Path:
    folder.mkdir()
    for seed in range(count):
        (folder / f"{seed}.png").write_bytes(encode_png(scene(seed, 144, 144)))
    return folder


@pytest.mark.usefixtures("few")
def test_a_member_is_calibrated_and_then_judges(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "photographs", 19)
    member = ["--member", f"embedded:{WEIGHTS}"]
    out = tmp_path / "own.json"
    given = ["--photographs", str(folder), "--out", str(out)]
    assert main(["classifier", "calibrate", *given, *member]) == 0
    assert "19 photographs of photographs, 0 out of scope" in capsys.readouterr().err
    assert set(json.loads(out.read_text())["scores"]) == {
        "native, as it was",
        "zoomed x2, as it was",
    }
    judged = [str(folder / "0.png"), "--json", "--model", "toy", "--search", "quick"]
    assert main(["verify", *judged, *member, "--calibration", str(out)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["classifier"]["photographs"] == 19
    assert told["classifier"]["p"] > 0.05
    assert told["findings"]["classifier"]["state"] == "insufficient evidence"


@pytest.mark.usefixtures("home", "few")
def test_too_few_photographs_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "photographs", 2)
    out = tmp_path / "own.json"
    assert main(["classifier", "calibrate", "--photographs", str(folder), "--out", str(out)]) == 2
    assert "2 are in scope, at least 19 are needed" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.usefixtures("home")
def test_appeals_are_kept_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "night.png"
    file.write_bytes(encode_png(scene(0)))
    assert main(["classifier", "check"]) == 0
    assert "0 of 0 appeals pass" in capsys.readouterr().out
    assert main(["classifier", "appeal", str(file), "--is", "drawn", "--note", "its maker"]) == 0
    assert main(["classifier", "check"]) == 1
    assert "but it is drawn its maker" in capsys.readouterr().out
    assert main(["classifier", "appeal", str(file), "--is", "photograph"]) == 2
    assert "already appealed as drawn" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_drift_needs_uploads(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classifier", "drift", "--since", "2026-01-01T00:00Z"]) == 2
    assert "0 scores before: at least 50 are needed" in capsys.readouterr().err


@pytest.mark.usefixtures("home")
def test_bench_forensics_counts_who_is_accused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photographs(tmp_path / "photographs", 1)
    assert main(["bench", "forensics", "--photographs", str(folder)]) == 0
    said = capsys.readouterr().out
    assert [said.count(name) for name in ("native", "denoised", "zoomed")] == [1, 1, 4]
    assert "spectra+residual/1" in said
