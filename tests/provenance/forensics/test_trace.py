"""The trace of a codec: what it drew it can draw again, whatever JPEG came between."""

import json
from pathlib import Path

import numpy as np
import pytest

from provenance.forensics.trace import BadTrace, Tracer, compare, load_tracer, write_others
from provenance.image import Pixels
from provenance.robustness import files
from tests.provenance.forensics.scenes import scene


def redraw(pixels: Pixels) -> Pixels:
    """A codec whose pictures are made of squares of 2 px."""
    small = pixels.reshape(3, 64, 2, 32, 2).mean(axis=(2, 4))
    return np.ascontiguousarray(small.repeat(2, 1).repeat(2, 2), np.float32)


OTHERS = np.sort([compare(p, redraw(p))[0] for p in (scene(n, 128, 64) for n in range(40))] * 25)
OWN = files.rounded(redraw(scene(99, 128, 64)))


def trace(pixels: Pixels) -> float:
    statistic, _, _ = compare(pixels, redraw(pixels))
    return (1 + np.searchsorted(OTHERS, statistic, side="right")) / (1 + len(OTHERS))


def test_what_the_codec_drew_is_told_from_what_it_did_not() -> None:
    assert trace(OWN) == 1 / 1001
    assert trace(scene(7, 128, 64)) > 0.01
    assert trace(files.rounded(scene(98, 128, 64))) > 0.001


@pytest.mark.parametrize("quality", [90, 60])
def test_the_compression_that_came_between_is_found(quality: int) -> None:
    _, found, _ = compare(files.jpeg(OWN, quality), OWN)
    assert found == quality


def test_one_colour_explains_nothing() -> None:
    flat = np.full((3, 128, 64), 0.5, np.float32)
    statistic, _, _ = compare(flat, redraw(flat))
    assert statistic >= -0.01


def test_only_pictures_of_the_models_size_are_compared() -> None:
    square = Tracer("toy 1", 128, redraw, OTHERS)
    assert square.trace(OWN) is None


def test_the_map_shows_where_it_differs() -> None:
    pixels = np.repeat(OWN, 2, axis=2)[:, :, :128]
    changed = pixels.copy()
    changed[:, :8, :8] = scene(5, 128, 64)[:, :8, :8]
    traced = Tracer("toy 1", 128, lambda _: pixels, OTHERS).trace(changed)
    assert traced is not None
    assert traced.map.shape == (16, 16)
    assert traced.map.argmax() == 0
    assert traced.map[8:, 8:].max() == 0


def test_statistics_are_kept_and_belong_to_one_codec(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    write_others(path, "toy 1", "scenes", list(OTHERS[::-1]))
    assert len(load_tracer(path, redraw, model="toy 1", side=64).others) == 1000
    with pytest.raises(BadTrace, match="of toy 1, not of toy 2"):
        load_tracer(path, redraw, model="toy 2", side=64)
    path.write_text(json.dumps({"model": "toy 1", "statistics": [0.0] * 999}))
    with pytest.raises(BadTrace, match="1000 statistics"):
        load_tracer(path, redraw, model="toy 1", side=64)
    path.write_text("{}")
    with pytest.raises(BadTrace, match="not the calibration of a trace"):
        load_tracer(path, redraw, model="toy 1", side=64)
