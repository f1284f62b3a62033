from pathlib import Path

import numpy as np

from bench.marks import stealing
from bench.marks.drawings import bench_key, marked, unmarked
from provenance.robustness.stealing import Theft
from provenance.watermark.detect import Bank
from provenance.watermark.search import FULL
from tests.workers.toys import generator
from workers.marking import Kind


def test_more_pictures_give_more_away_and_a_pool_gives_less(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    scheme = marker.banks([bench_key()])[0].scheme
    table = stealing.table(
        scheme,
        marked(tmp_path, toy, marker, Kind.LEXICAL, 10).drawings,
        unmarked(tmp_path, toy, 24).drawings,
        plan=FULL,
        most=50,
    )
    kinds = [(row[0], row[1], row[2].split(",")[0]) for row in table.rows]
    assert kinds == [
        *(("1", str(n), "independent") for n in (1, 2, 5, 10, 20, 50)),
        *(("8", str(n), "independent") for n in (10, 20, 50)),
        ("8", "10", "drawn"),
    ]
    coloured = [float(row[3]) for row in table.rows]
    assert coloured[5] > 0.95 > coloured[0]
    assert coloured[5] > coloured[8]
    assert table.rows[5][5].startswith("1.00")


def test_the_detector_of_the_bench_is_the_one_that_verifies(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    bank = Bank(marker.banks([bench_key()])[0].scheme, [bench_key()])
    evidence = stealing.detector(bank, FULL)
    own, plain = marked(tmp_path, toy, marker, Kind.LEXICAL, 1), unmarked(tmp_path, toy, 1)
    assert evidence(own.drawings[0].tokens.ravel()) > 6
    assert evidence(plain.drawings[0].tokens.ravel()) < 3


def test_as_many_pictures_are_needed_as_keep_the_share_from_there_on() -> None:
    scores = {1: (9.0, 1.0), 10: (1.0, 1.0), 100: (9.0, 1.0), 1000: (9.0, 9.0)}
    curve = stealing.Curve(1, "drawn", 1000, tuple(Theft(n, 0.5, s) for n, s in scores.items()))
    assert curve.needed(0.5) == 100
    assert curve.needed(0.95) == 1000
    none = stealing.Curve(1, "drawn", 10, curve.thefts[:2])
    assert none.needed(0.5) is None
    assert "pictures needed more than 10 for 50%, more than 10 for 95%" in stealing._summary(none)
    assert np.isfinite(none.thefts[0].evidence).all()
