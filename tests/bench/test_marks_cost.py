from pathlib import Path

from bench.marks import cost
from bench.marks.drawings import unmarked
from provenance.watermark.search import STANDARD
from tests.workers.toys import generator


def test_every_cost_has_its_row(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    drawings = unmarked(tmp_path, toy, 2).drawings
    cost_of = cost.table(toy, marker, drawings, runs=1, plan=STANDARD)
    assert [row[1] for row in cost_of.rows] == [
        "<= 1 %",
        "<= 1 ms a picture",
        "",
        "< 5 ms",
        "<= 1.2 x",
        "<= 3 s",
    ]
    assert all(row[3] in ("met", "missed") for row in cost_of.rows if row[1])
    assert "512 px" in cost_of.rows[-1][0]


def test_the_large_picture_holds_the_drawings_side_by_side(tmp_path: Path) -> None:
    toy, _ = generator(tmp_path)
    drawings = unmarked(tmp_path, toy, 3).drawings
    wide = cost.large(drawings)
    assert wide.shape == (3, 512, 512)
    assert (wide[:, :128, 128:256] == drawings[1].pixels).all()
    assert (wide[:, 128:256, :128] == drawings[1].pixels).all()
