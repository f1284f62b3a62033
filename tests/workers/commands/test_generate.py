"""`countermark generate --survive` shows what the mark survives, or refuses the picture."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from provenance.image import read_image
from provenance.manifest.container import sniff
from provenance.watermark.detect import THRESHOLD
from tests.workers.commands.toy_model import installation
from tests.workers.toys import generator
from workers.command import main


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("home")
    with installation(place, generator(place)[0].spec) as folder:
        yield folder


def generate(out: str, *more: str) -> int:
    return main(["generate", "grey", "--out", out, "--seed", "3", "--model", "toy", *more])


def test_the_line_says_what_the_mark_survives(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate("a.png", "--survive", "jpeg-75") == 0
    shown = re.search(
        r"mark of (\d+) nats, .*probability \S+, after jpeg-75 ([^;]+);", capsys.readouterr().out
    )
    assert shown is not None
    assert float(shown[2]) <= THRESHOLD
    for name, chosen in (("b.png", []), ("c.png", ["--survive", "none"])):
        assert generate(name, "--mark", "both", *chosen) == 0
        assert "after" not in capsys.readouterr().out
    b, c = (read_image((home / name).read_bytes(), name=name) for name in ("b.png", "c.png"))
    assert np.array_equal(b, c)


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        ("jpeg-50", "cannot carry a mark that survives jpeg-50"),
        ("jpg-50", "no attack 'jpg-50'"),
        ("jpeg-500", "jpeg goes from 1 to 100"),
    ],
)
def test_what_does_not_survive_or_exist_is_one_line_and_no_file(
    home: Path, capsys: pytest.CaptureFixture[str], attack: str, says: str
) -> None:
    capsys.readouterr()
    assert generate("bad.png", "--survive", attack) == 2
    (line,) = (row for row in capsys.readouterr().err.splitlines() if row.startswith("counterm"))
    assert says in line
    assert not (home / "bad.png").exists()


@pytest.mark.parametrize(("name", "media"), [("a.jpg", "image/jpeg"), ("a.webp", "image/webp")])
def test_the_name_of_the_file_says_its_format(home: Path, name: str, media: str) -> None:
    assert generate(name, "--mark", "both") == 0
    assert sniff((home / name).read_bytes()) == media
    size = (home / name).stat().st_size
    assert generate(name, "--mark", "both", "--quality", "95") == 0
    assert (home / name).stat().st_size < size


@pytest.mark.parametrize(
    ("out", "more", "says"),
    [
        ("bad.gif", [], "--out must end in .png, .jpg, .jpeg, .webp, not 'bad.gif'"),
        ("no/bad.jpg", [], "there is no folder no"),
        ("bad.png", ["--quality", "90"], "--quality is for JPEG and WebP"),
        ("bad.jpg", ["--quality", "0"], "between 1 and 100, not 0"),
        ("bad.jpg", ["--quality", "5"], "cannot carry the mark"),
    ],
)
def test_a_file_that_cannot_be_written_so_is_one_line_and_no_file(
    home: Path, capsys: pytest.CaptureFixture[str], out: str, more: list[str], says: str
) -> None:
    capsys.readouterr()
    assert generate(out, *more) == 2
    (line,) = (row for row in capsys.readouterr().err.splitlines() if row.startswith("counterm"))
    assert says in line
    assert not (home / out).exists()
