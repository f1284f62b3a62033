from pathlib import Path

import numpy as np
import pytest

from bench.icons import prompts
from bench.marks.drawings import bench_key, marked, numbered_key, unmarked
from provenance.watermark.detect import Outcome, detect
from provenance.watermark.search import QUICK
from tests.workers.toys import generator
from workers.marking import Kind


def test_marked_drawings_carry_the_mark_of_the_bench_and_unmarked_ones_do_not(
    tmp_path: Path,
) -> None:
    toy, marker = generator(tmp_path)
    own = marked(tmp_path, toy, marker, Kind.LEXICAL, 3)
    plain = unmarked(tmp_path, toy, 3)
    assert [d.prompt for d in own.drawings] == [text for _, text in prompts(3)]
    for album, expected in ((own, Outcome.DETECTED), (plain, Outcome.NOT_DETECTED)):
        for drawing in album.drawings:
            views = marker.search(drawing.pixels, QUICK).views()
            assert detect(views, marker.banks([bench_key()]), planned=1).outcome is expected


def test_drawings_are_read_from_the_folder_and_only_what_is_missing_is_drawn(
    tmp_path: Path,
) -> None:
    toy, marker = generator(tmp_path)
    first = marked(tmp_path, toy, marker, Kind.LEXICAL, 2)
    files = sorted(tmp_path.glob("toy-*/lexical/*.png"))
    files[0].write_bytes(files[1].read_bytes())
    again = marked(tmp_path, toy, marker, Kind.LEXICAL, 3)
    assert len(again.drawings) == 3
    assert np.array_equal(again.drawings[0].pixels, first.drawings[1].pixels)
    assert np.array_equal(again.drawings[1].tokens, first.drawings[1].tokens)


def test_a_drawing_half_written_is_drawn_again(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    first = marked(tmp_path, toy, marker, Kind.LEXICAL, 1)
    (facts,) = tmp_path.glob("toy-*/lexical/*.json")
    facts.rename(facts.with_suffix(".json.part"))
    again = marked(tmp_path, toy, marker, Kind.LEXICAL, 1)
    assert np.array_equal(again.drawings[0].tokens, first.drawings[0].tokens)


def test_wishes_that_generate_refuses_are_counted_and_left_out(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path, sure=60.0)
    album = marked(tmp_path, toy, marker, Kind.LEXICAL, 2)
    assert (album.drawings, album.refused) == ((), 2)
    assert str(album) == "0 drawings (2 more refused: they cannot carry the mark)"


def test_drawings_that_survive_an_attack_are_kept_apart(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    marked(tmp_path, toy, marker, Kind.LEXICAL, 1)
    album = marked(tmp_path, toy, marker, Kind.LEXICAL, 1, survive="noise-1")
    assert (len(album.drawings), album.refused) == (0, 1)


def test_keys_of_the_bench_differ_by_number() -> None:
    assert numbered_key(0).key_id == bench_key().key_id
    assert numbered_key(0).secret != numbered_key(1).secret
    with pytest.raises(OverflowError):
        numbered_key(-1)
