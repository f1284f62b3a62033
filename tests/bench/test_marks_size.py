from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.marks import size
from provenance.watermark.search import STANDARD
from tests.workers.toys import generator
from workers.marking import Marker


def greys(count: int, levels: int, seed: int) -> size.Pictures:
    """Pictures of 8 px patches, each with so many grey levels of its own."""
    rng = np.random.default_rng(seed)
    patches = [rng.choice(rng.permutation(256)[:levels], (1, 16, 16)) for _ in range(count)]
    return np.stack(patches).astype(np.uint8).repeat(8, 2).repeat(8, 3).repeat(3, 1)


@pytest.fixture
def marker(tmp_path: Path) -> Marker:
    return generator(tmp_path)[1]


def test_every_test_keeps_its_size_and_the_published_one_does_not(marker: Marker) -> None:
    sets = {"tiles": greys(30, 12, 0), "drawings": greys(30, 40, 1)}
    table = size.table(
        sets, trials=3000, plan=STANDARD, searched=2, opened=lambda: marker, processes=1
    )
    assert [row[:3] for row in table.rows[:9]] == [
        *(("tiles", "lexical/1", t) for t in ("unique/1", "weighted/1", "margin/1", "published")),
        *(("tiles", "pairs/1", t) for t in ("unique/1", "weighted/1", "margin/1", "published")),
        ("tiles", "all schemes", "standard search"),
    ]
    assert len(table.rows) == 18
    assert not any("OUTSIDE" in cell for row in table.rows for cell in row)
    published = table.rows[3]
    assert float(published[5].split(", ")[1].split(" ")[0]) > 20, published
    assert {row[3] for row in table.rows} == {"3,000", "100"}


@pytest.mark.parametrize(("hits", "outside"), [(100, False), (140, True), (60, True)])
def test_hits_beyond_the_interval_are_told(hits: int, outside: bool) -> None:
    assert ("OUTSIDE" in size._two_sided(hits, 100.0, 10_000)) is outside


def test_a_correction_may_be_cautious_but_not_bold() -> None:
    assert "OUTSIDE" not in size._one_sided(0, 10.0, 1000)
    assert "OUTSIDE" in size._one_sided(30, 10.0, 1000)


def test_tiles_come_from_every_photograph_that_no_weight_saw(tmp_path: Path) -> None:
    rows = ["file,split,permissive"]
    for name, split, permissive in (("a", "train", 1), ("b", "train", 0), ("c", "calib", 1)):
        Image.new("RGB", (300, 200), (10 * len(rows), 0, 0)).save(tmp_path / f"{name}.png")
        rows.append(f"{name}.png,{split},{permissive}")
    (tmp_path / "index.csv").write_text("\n".join(rows))
    paths = size.unseen_photographs(tmp_path, tmp_path / "index.csv")
    assert [path.name for path in paths] == ["b.png", "c.png"]
    tiles = size.tiles(paths, 7)
    assert tiles.shape == (7, 3, 128, 128)
    reds, counts = np.unique(tiles[:, 0, 0, 0], return_counts=True)
    assert reds.tolist() == [20, 30]
    assert sorted(counts) == [3, 4]
