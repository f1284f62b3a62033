"""A fingerprint finds the picture again, its mirror image and nothing else, on both databases."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from provenance.database import snapshot, transaction
from provenance.fingerprint import (
    BITS,
    BLOCK,
    LEAST_QUALITY,
    THRESHOLD,
    Fingerprint,
    FingerprintIndex,
    Match,
    NotRecorded,
    Outcome,
    OutOfOrder,
    count_ones,
    count_ones_by_table,
    distances,
    fingerprint,
    format_fingerprint,
    store,
)
from provenance.image import Pixels
from provenance.ledger.errors import NotLogged
from provenance.ledger.log import Draft, append
from provenance.ledger.record import Revocation, Subject
from provenance.robustness.attacks import attacked, find
from provenance.tables import FingerprintRow
from tests.databases import KINDS, migrated_database
from tests.provenance.ledger.logs import AT, picture
from tests.provenance.robustness.pictures import drawing

SEEN = drawing(1, 160, 192)


@pytest.fixture(params=KINDS, scope="module")
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sa.Engine]:
    with migrated_database(request.param, tmp_path_factory.mktemp("fingerprints")) as made:
        yield made


@pytest.fixture
def empty(engine: sa.Engine) -> sa.Engine:
    with transaction(engine) as session:
        session.execute(sa.delete(FingerprintRow))
    return engine


def made(value: bytes, *, quality: int = 100, mirrored: bytes = b"\xaa" * 32) -> Fingerprint:
    return Fingerprint(value, mirrored, quality)


def flipped(value: bytes, count: int, seed: int = 0) -> bytes:
    """The hash with so many of its bits flipped."""
    bits = np.unpackbits(np.frombuffer(value, np.uint8))
    bits[np.random.default_rng(seed).permutation(BITS)[:count]] ^= 1
    return np.packbits(bits).tobytes()


def random_hashes(count: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def indexed(*hashes: bytes) -> FingerprintIndex:
    index = FingerprintIndex()
    rows = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)
    index.append(np.arange(len(hashes)), rows)
    return index


def recorded(session: Session, name: str, one: Fingerprint) -> int:
    """The entry of a picture with this fingerprint, stored beside it."""
    record = replace(picture(name), fingerprint=format_fingerprint(one))
    entry = append(session, [Draft(record)])[0].index
    store(session, entry, one)
    return entry


def gap(one: Pixels, other: Pixels) -> int:
    hashes = np.frombuffer(fingerprint(one).hash, np.uint8).reshape(1, 32)
    return int(distances(hashes, fingerprint(other))[0])


@pytest.mark.parametrize(
    "attack", ["jpeg-50", "webp-50", "resize-0.5", "brightness-1.2", "noise-0.02", "flip"]
)
def test_a_copy_lies_within_the_threshold(attack: str) -> None:
    assert gap(SEEN, attacked(SEEN, find(attack), seed=0)) <= THRESHOLD


@pytest.mark.parametrize("other", [drawing(2, 160, 192), np.ascontiguousarray(SEEN[:, 80:])])
def test_another_picture_or_a_part_lies_beyond_the_threshold(other: Pixels) -> None:
    assert gap(SEEN, other) > THRESHOLD


def test_mirrored_is_the_hash_of_the_mirror_image() -> None:
    seen, mirror = fingerprint(SEEN), fingerprint(np.ascontiguousarray(SEEN[:, :, ::-1]))
    assert (seen.mirrored, seen.hash) == (mirror.hash, mirror.mirrored)
    assert seen.hash != seen.mirrored


def test_memory_order_makes_no_difference() -> None:
    assert fingerprint(np.asfortranarray(SEEN)) == fingerprint(SEEN)


def test_a_large_picture_is_averaged_down_and_stays_the_same_picture() -> None:
    assert gap(np.repeat(np.repeat(SEEN, 8, 1), 8, 2), SEEN) <= THRESHOLD


@pytest.mark.parametrize(
    "flat",
    [
        np.full((3, 64, 64), 0.5, np.float32),
        np.linspace(0.4, 0.45, 3 * 64 * 64, dtype=np.float32).reshape(3, 64, 64),
        drawing(1, 4, 4),
    ],
)
def test_a_flat_or_tiny_picture_is_inconclusive_even_beside_itself(flat: Pixels) -> None:
    one = fingerprint(flat)
    finding = indexed(one.hash).search(one)
    assert one.quality < LEAST_QUALITY
    assert (finding.outcome, finding.matches) == (Outcome.INCONCLUSIVE, ())
    assert "neither for nor against" in finding.caveat


@pytest.mark.parametrize("distance", [0, 1, THRESHOLD, THRESHOLD + 1, 60])
@pytest.mark.parametrize("mirrored", [False, True])
def test_search_draws_the_line_at_the_threshold(distance: int, mirrored: bool) -> None:
    value, far = b"\x5c" * 32, b"\xa3" * 32
    other = flipped(value, distance)
    one = made(far, mirrored=value) if mirrored else made(value, mirrored=far)
    finding = indexed(b"\x0f" * 32, other).search(one)
    if distance <= THRESHOLD:
        assert finding.outcome is Outcome.MATCH
        assert finding.matches == (Match(1, distance, mirrored),)
        assert "not proven to be it" in finding.caveat
    else:
        assert (finding.outcome, finding.matches) == (Outcome.NONE, ())
        assert "would not be found either" in finding.caveat
    assert (finding.threshold, finding.searched, finding.quality) == (THRESHOLD, 2, 100)
    assert finding.basis.startswith("measured on 408 different photographs: 0 of 83,028 pairs")
    assert "not measured" in indexed(other).search(one, threshold=THRESHOLD + 1).basis


@given(st.integers(0, 2**32), st.integers(0, 127), st.integers(1, 8))
def test_search_is_exact(seed: int, threshold: int, limit: int) -> None:
    hashes = random_hashes(300, seed)
    one = made(flipped(hashes[7].tobytes(), 20, seed), mirrored=hashes[9].tobytes())
    index = FingerprintIndex()
    index.append(np.arange(300) * 3, hashes)
    apart = [
        min(sum((a ^ b).bit_count() for a, b in zip(h.tolist(), v, strict=True)) for v in both)
        for both in [(one.hash, one.mirrored)]
        for h in hashes
    ]
    near = sorted((d, 3 * i) for i, d in enumerate(apart) if d <= threshold)
    finding = index.search(one, threshold=threshold, limit=limit)
    assert [(m.distance, m.entry) for m in finding.matches] == near[:limit]
    assert (finding.within, finding.outcome is Outcome.MATCH) == (len(near), bool(near))


def test_search_finds_in_every_block() -> None:
    hashes = random_hashes(2 * BLOCK + 10)
    index = FingerprintIndex()
    index.append(np.arange(len(hashes)), hashes)
    for place in (0, BLOCK - 1, BLOCK, 2 * BLOCK, len(hashes) - 1):
        one = made(flipped(hashes[place].tobytes(), THRESHOLD, place))
        assert index.search(one).matches == (Match(place, THRESHOLD, False),)


@pytest.mark.parametrize(("threshold", "limit"), [(-1, 1), (128, 1), (31, 0)])
def test_search_refuses_what_it_cannot_do(threshold: int, limit: int) -> None:
    with pytest.raises(ValueError, match="a search needs"):
        FingerprintIndex().search(made(b"\0" * 32), threshold=threshold, limit=limit)


def test_ones_are_counted_alike_with_and_without_numpy_2() -> None:
    words = np.frombuffer(random_hashes(64).tobytes(), np.uint64).reshape(4, -1)
    expected = [[int(word).bit_count() for word in row] for row in words]
    assert count_ones_by_table(words).tolist() == expected == count_ones(words).tolist()
    assert count_ones_by_table(words[:, ::3]).tolist() == [row[::3] for row in expected]


def test_what_is_stored_is_found_and_loaded_as_it_comes(empty: sa.Engine) -> None:
    hashes = [row.tobytes() for row in random_hashes(3, 5)]
    index = FingerprintIndex()
    with transaction(empty) as session:
        first = recorded(session, f"first {empty.url}", made(hashes[0]))
        flat = recorded(session, f"flat {empty.url}", made(hashes[1], quality=LEAST_QUALITY - 1))
    with snapshot(empty) as session:
        index.load(session)
    assert [m.entry for m in index.search(made(hashes[0])).matches] == [first]
    assert index.search(made(hashes[1])).outcome is Outcome.NONE
    with transaction(empty) as session:
        last = recorded(session, f"last {empty.url}", made(hashes[2], quality=LEAST_QUALITY))
    for _ in range(2):
        with snapshot(empty) as session:
            index.load(session)
        assert len(index) == 2
        assert index.search(made(flipped(hashes[2], 9))).matches == (Match(last, 9, False),)
    assert flat == first + 1


def test_both_databases_give_the_answers_of_memory(empty: sa.Engine) -> None:
    hashes = random_hashes(50, 6)
    with transaction(empty) as session:
        entries = [
            recorded(session, f"{n} {empty.url}", made(row.tobytes()))
            for n, row in enumerate(hashes)
        ]
    memory, loaded = FingerprintIndex(), FingerprintIndex()
    memory.append(np.array(entries), hashes)
    with snapshot(empty) as session:
        loaded.load(session)
    for threshold in (31, 100, 110):
        one = made(hashes[4].tobytes(), mirrored=hashes[5].tobytes())
        assert loaded.search(one, threshold=threshold) == memory.search(one, threshold=threshold)


def test_only_what_the_record_says_is_stored(empty: sa.Engine) -> None:
    one = made(b"\x01" * 32)
    with transaction(empty) as session:
        entry = append(session, [Draft(picture(f"other {empty.url}"))])[0]
        revocation = Revocation(AT, Subject(entry.index, entry.leaf), "withdrawn")
        revoked = append(session, [Draft(revocation)])[0]
    for index in (entry.index, revoked.index):
        with pytest.raises(NotRecorded, match=f"entry {index}"), transaction(empty) as session:
            store(session, index, one)
    with pytest.raises(NotLogged), transaction(empty) as session:
        store(session, 10**6, one)
    with snapshot(empty) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(FingerprintRow)) == 0


def test_fingerprints_are_stored_in_the_order_of_entries(empty: sa.Engine) -> None:
    ones = [made(row.tobytes()) for row in random_hashes(2, 7)]
    with transaction(empty) as session:
        records = [
            replace(picture(f"ordered {n} {empty.url}"), fingerprint=format_fingerprint(one))
            for n, one in enumerate(ones)
        ]
        entries = append(session, [Draft(record) for record in records])
        store(session, entries[1].index, ones[1])
    for n in (0, 1):
        with pytest.raises(OutOfOrder), transaction(empty) as session:
            store(session, entries[n].index, ones[n])
