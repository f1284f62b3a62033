from pathlib import Path

from bench.marks import power
from bench.marks.drawings import marked, unmarked
from provenance.watermark.search import STANDARD
from tests.workers.toys import generator
from workers.marking import Kind


def test_marked_drawings_are_found_unchanged_and_every_attack_has_its_row(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    said: list[str] = []
    table = power.table(
        marked(tmp_path, toy, marker, Kind.LEXICAL, 2),
        moved=1,
        plan=STANDARD,
        opened=lambda: marker,
        processes=1,
        report=said.append,
    )
    rows = {row[0]: row for row in table.rows}
    assert list(rows) == [bar.attack for bar in power.BARS]
    assert len(said) == len(rows)
    assert rows["none"][2:5] == ("2", "1.000 (0.158 to 1.000)", "met")
    assert rows["none"][6] == "1.0"
    assert rows["flip"][2:4] == ("1", "1.000 (0.025 to 1.000)")
    assert rows["noise-0.05"][4] == "missed"
    assert "2 drawings, marked under one key" in table.notes[0]


def test_unmarked_drawings_are_not_found(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    (drawing,) = unmarked(tmp_path, toy, 1).drawings
    judged = power.judge(marker, power.Task(power.BARS[0], 0, drawing.pixels, STANDARD))
    assert not judged.found
    assert judged.corrected > 1e-3
    assert 1 < judged.views <= STANDARD.looks
