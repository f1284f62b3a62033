from pathlib import Path

import numpy as np
import pytest

from bench.marks import peers
from bench.marks.drawings import bench_key, marked, unmarked
from provenance.image import Pixels
from provenance.robustness.harness import at_p
from provenance.robustness.peers import Bits, Peer
from provenance.watermark.search import QUICK
from tests.workers.toys import generator
from workers.marking import Kind


def corner(pixels: Pixels, bits: Bits) -> Pixels:
    out = pixels.copy()
    out[:, 0, :32] = bits
    return out


def in_corner(pixels: Pixels) -> Bits:
    return (pixels[0, 0, :32] > 0.5).astype(np.uint8)


def test_every_method_is_judged_on_the_same_attacks_at_the_same_rate(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    own = marked(tmp_path, toy, marker, Kind.LEXICAL, 2).drawings
    plain = unmarked(tmp_path, toy, 6).drawings
    table = peers.table(
        list(zip(own, own, plain[:2], strict=True)),
        [peers.nulls(marker, "unmarked drawings", [d.pixels for d in plain])],
        {"kept": ("none", "jpeg-95"), "lost": ("none", "blur-radius-20")},
        rates=(0.01,),
        others={"corner": Peer(corner, in_corner)},
        plan=QUICK,
        opened=lambda: marker,
        processes=1,
    )
    assert [row[1] for row in table.rows] == ["ours", *peers.PUBLISHED, "corner"]
    assert table.rows[0][3:] == ("0.750 (0.750 to 0.750)", "1.00", "0.50")
    assert all(row[5] == "0.50" for row in table.rows)
    assert "2 wishes, 3 attacks" in table.notes[0]
    assert table.notes[1] == "More often found than ours: none after any attack."


def test_a_method_that_is_ahead_is_named() -> None:
    scores = np.array([[[1.0, 3.0]], [[3.0, 3.0]]])
    judged = [peers.Line("ours", 0, "exact p", (at_p(0.01),))]
    judged.append(peers.Line("other", 1, "exact p", (at_p(0.01),)))
    assert peers._ahead(scores, judged, ["flip"], [0.01]) == (
        "More often found than ours: other (exact p, 1e-02) after flip: 1.00 against 0.50."
    )


def test_indexmark_s_drawing_is_all_green_and_lbw_s_is_biased(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    (plain,) = unmarked(tmp_path, toy, 1).drawings
    (own,) = marked(tmp_path, toy, marker, Kind.LEXICAL, 1).drawings
    task = peers.Task(own, own, plain, ("none",), QUICK, {})
    ((ours, indexmark, lbw),) = peers.judge(marker, task)
    assert indexmark == pytest.approx(64 * np.log10(np.e) * 2, rel=0.05)
    assert min(ours, lbw) > 9
    unbiased = peers.Task(own, plain, plain, ("none",), QUICK, {})
    assert peers.judge(marker, unbiased)[0, 2] < 9
    scheme, partner = peers.indexmark(marker)
    swapped = peers.indexmarked(marker.codec, plain, scheme.green(bench_key(), 0), partner)
    assert scheme.green(bench_key(), 0)[peers.read_tokens(marker.codec, swapped, 128)].all()


def test_thresholds_let_the_rate_of_unmarked_pictures_pass(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    plain = [d.pixels for d in unmarked(tmp_path, toy, 4).drawings]
    null = peers.nulls(marker, "drawings", plain)
    lines = peers.lines(marker, [null], ["x"], (0.1, 0.01))
    assert [(line.method, line.column) for line in lines] == [
        ("ours", 0),
        (peers.PUBLISHED[0], 1),
        (peers.PUBLISHED[1], 2),
        ("x", 3),
    ]
    for line, scores in zip(
        lines[1:3], peers.null_scores(marker, null, trials=100).values(), strict=True
    ):
        for threshold, rate in zip(line.thresholds, (0.1, 0.01), strict=True):
            assert sum(s >= threshold.value for s in scores) <= rate * len(scores)
