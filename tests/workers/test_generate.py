from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generators.sampling import Request
from provenance.formats import Encoding, Format
from provenance.image import Pixels, read_image
from provenance.manifest.container import sniff
from provenance.robustness.attacks import attacked, find
from provenance.watermark.detect import THRESHOLD, Outcome, detect
from provenance.watermark.errors import UnusableKey
from provenance.watermark.keys import KeyState
from provenance.watermark.search import FULL, QUICK
from tests.workers.toys import generator, key
from workers.generate import (
    SEED,
    STRENGTHS,
    TARGET,
    WORN,
    How,
    Marked,
    WeakMark,
    _order,
    generate,
    unerased,
)
from workers.marking import Kind
from workers.verify import verify


@pytest.mark.parametrize("kind", list(Kind))
def test_what_is_generated_is_verified_with_its_key_and_no_other(
    tmp_path: Path, kind: Kind
) -> None:
    toy, marker = generator(tmp_path)
    made = generate(toy, marker, [Request("grey", 3)], How(kind, key(), unerased))[0]
    assert made.finding.corrected <= TARGET
    found = verify(made.file, name="it", marks=marker, keys=[key()], plan=QUICK).mark
    assert found.outcome is Outcome.DETECTED
    assert found.match is not None
    assert found.match.key_id == key().key_id
    other = verify(made.file, name="it", marks=marker, keys=[key(b"o" * 32)], plan=QUICK).mark
    assert other.outcome is Outcome.NOT_DETECTED


def test_the_file_holds_what_was_drawn(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    made = generate(toy, marker, [Request("grey", 3)], How(Kind.LEXICAL, key(), unerased))[0]
    with Image.open(BytesIO(made.file)) as file:
        assert np.array_equal(np.asarray(file), made.drawn.pixels)


def test_a_picture_of_one_code_is_refused(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path, sure=60.0)
    with pytest.raises(WeakMark, match="^seed 5: the picture cannot carry the mark") as told:
        generate(toy, marker, [Request("flat", 5)], How(Kind.LEXICAL, key(), unerased))
    assert "flat" not in str(told.value)


def test_the_bias_is_raised_only_as_far_as_needed(tmp_path: Path) -> None:
    free, marker = generator(tmp_path)
    loose = generate(free, marker, [Request("grey", 3)], How(Kind.LEXICAL, key(), unerased))[0]
    assert loose.strength == STRENGTHS[Kind.LEXICAL][0]
    set_ways, marker = generator(tmp_path, sure=5.0)
    tight = generate(set_ways, marker, [Request("grey", 3)], How(Kind.LEXICAL, key(), unerased))[0]
    assert tight.strength > STRENGTHS[Kind.LEXICAL][0]


@pytest.mark.parametrize(("sure", "attack"), [(0.0, "erase-0.2"), (4.0, "shift-3")])
def test_an_attack_to_survive_raises_the_bias(tmp_path: Path, sure: float, attack: str) -> None:
    toy, marker = generator(tmp_path, sure=sure)
    wish = [Request("grey", 3)]
    plain = generate(toy, marker, wish, How(Kind.LEXICAL, key(), unerased))[0]
    assert plain.survived is None
    made = generate(toy, marker, wish, How(Kind.LEXICAL, key(), unerased, find(attack)))[0]
    assert made.strength > plain.strength == STRENGTHS[Kind.LEXICAL][0]
    assert made.survived is not None
    assert made.survived.finding.corrected <= TARGET
    copy = attacked(read_image(made.file, name="it"), find(attack), seed=SEED)
    search = marker.search(copy, FULL)
    found = detect(search.views(), marker.banks([key()]), planned=search.planned)
    assert (made.survived.attack, made.survived.finding) == (attack, found)


@pytest.mark.parametrize("kind", [Kind.LEXICAL, Kind.SWAP])
def test_a_mark_that_would_not_survive_is_refused(tmp_path: Path, kind: Kind) -> None:
    toy, marker = generator(tmp_path)
    says = "seed 3: the picture cannot carry a mark that survives jpeg-50 .corrected p .*1e-06"
    with pytest.raises(WeakMark, match=says):
        generate(toy, marker, [Request("grey", 3)], How(kind, key(), unerased, find("jpeg-50")))


def test_the_strength_that_reads_best_is_taken_if_none_reaches_the_target(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    wish, attack = [Request("grey", 3)], find("erase-0.3")
    made = generate(toy, marker, wish, How(Kind.LEXICAL, key(), unerased, attack))[0]
    assert STRENGTHS[Kind.LEXICAL][0] < made.strength < STRENGTHS[Kind.LEXICAL][-1]
    assert TARGET < made.p <= THRESHOLD


def test_pictures_come_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    requests = [Request("grey", seed) for seed in range(11)]
    made = generate(toy, marker, requests, How(Kind.BOTH, key(), unerased))
    assert [m.drawn.request.seed for m in made] == list(range(11))
    alone = generate(toy, marker, requests[9:10], How(Kind.BOTH, key(), unerased))[0]
    assert alone.file == made[9].file


def test_a_retired_key_marks_nothing(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    retired = key(state=KeyState.RETIRED)
    with pytest.raises(UnusableKey, match="retired"):
        generate(toy, marker, [Request("grey", 3)], How(Kind.LEXICAL, retired, unerased))


def test_an_unmarked_picture_is_not_detected_by_the_widest_search(tmp_path: Path) -> None:
    _, marker = generator(tmp_path)
    rng = np.random.default_rng(0)
    file = BytesIO()
    grey = rng.integers(0, 256, (16, 16, 1), np.uint8).repeat(8, 0).repeat(8, 1).repeat(3, 2)
    Image.fromarray(grey).save(file, "PNG")
    found = verify(file.getvalue(), name="it", marks=marker, keys=[key()], plan=FULL)
    assert found.mark.outcome is Outcome.NOT_DETECTED
    assert found.mark.family.size == len(marker.banks([key()])) * 8 * FULL.looks
    assert found.cost.views <= FULL.looks


@pytest.mark.parametrize("kind", [Format.JPEG, Format.WEBP])
def test_the_mark_is_read_back_from_the_file_as_it_is_encoded(tmp_path: Path, kind: Format) -> None:
    toy, marker = generator(tmp_path)
    how = How(Kind.LEXICAL, key(), unerased, encoding=Encoding(kind))
    made = generate(toy, marker, [Request("grey", 3)], how)[0]
    assert sniff(made.file) == how.encoding.media
    assert made.file == how.encoding.encode(as_pixels(made))
    found = verify(made.file, name="it", marks=marker, keys=[key()], plan=QUICK).mark
    assert found == made.finding


def test_a_format_that_loses_the_mark_raises_the_bias_or_refuses(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    wish = [Request("grey", 3)]
    strengths = {}
    for quality in (100, 65):
        how = How(Kind.LEXICAL, key(), unerased, encoding=Encoding(Format.JPEG, quality))
        strengths[quality] = generate(toy, marker, wish, how)[0].strength
    assert strengths[65] > strengths[100]
    how = How(Kind.LEXICAL, key(), unerased, encoding=Encoding(Format.JPEG, 10))
    with pytest.raises(WeakMark, match="cannot carry the mark"):
        generate(toy, marker, wish, how)


def as_pixels(made: Marked) -> Pixels:
    pixels: Pixels = np.ascontiguousarray(made.drawn.pixels.transpose(2, 0, 1), np.float32)
    return pixels / np.float32(255)


def test_a_trade_is_raised_until_it_is_found_in_the_worn_copy(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    how, wish = How(Kind.TRADE, key(), unerased), [Request("grey", 3)]
    bright = generate(toy, marker, wish, how)[0]
    assert bright.worn is not None
    assert bright.strength == STRENGTHS[Kind.TRADE][-1]  # its lights are all one code then
    assert bright.shortfall == pytest.approx(bright.worn.corrected / WORN)
    toy, marker = generator(tmp_path, levels=160)
    dark = generate(toy, marker, wish, how)[0]
    assert dark.worn is not None
    assert dark.strength < bright.strength
    assert dark.shortfall <= 1
    worn = attacked(read_image(dark.file, name="it"), find("brightness-1.5"), seed=SEED) / 1.5
    search = marker.search(worn.astype(np.float32), QUICK)
    again = detect(search.views(), marker.banks([key()]), planned=search.planned)
    assert again.corrected == dark.worn.corrected


def test_a_picture_that_may_leave_comes_before_one_that_wears_better(tmp_path: Path) -> None:
    toy, marker = generator(tmp_path)
    made = generate(toy, marker, [Request("grey", 3)], How(Kind.TRADE, key(), unerased))[0]
    assert made.worn is not None
    lost = replace(made, finding=replace(made.finding, corrected=1e-3))
    worn_out = replace(made, worn=replace(made.worn, corrected=1.0))
    assert min(lost, worn_out, key=_order) is worn_out
