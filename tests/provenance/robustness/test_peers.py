import numpy as np
import pytest

from provenance.robustness.peers import PEERS, message
from provenance.robustness.quality import psnr
from tests.provenance.robustness.pictures import drawing

BITS = message(np.random.default_rng(3))


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_reads_back_what_it_put_in_and_only_from_the_marked_picture(name: str) -> None:
    picture = drawing(height=128, width=128)
    marked = PEERS[name].embed(picture, BITS)
    assert marked.shape == picture.shape
    assert psnr(picture, marked) > 30
    assert PEERS[name].agreement(marked, BITS) >= 0.75
    assert PEERS[name].agreement(marked, 1 - BITS) <= 0.25
    assert PEERS[name].agreement(picture, BITS) < 0.7


def test_rivagan_at_its_own_size_reads_its_bits_and_enlarging_changes_nothing() -> None:
    picture = drawing(height=256, width=256)
    one, other = (PEERS[name].embed(picture, BITS) for name in ("rivagan", "rivagan-256"))
    assert np.array_equal(one, other)
    assert PEERS["rivagan"].agreement(one, BITS) >= 0.9
    assert PEERS["rivagan"].evidence(one, BITS) > 5


def test_evidence_is_the_binomial_tail() -> None:
    peer = PEERS["dwt-dct-svd"]
    marked = peer.embed(drawing(height=128, width=128), BITS)
    read = peer.read(marked)
    assert peer.evidence(marked, read) == pytest.approx(32 * np.log10(2))
    one_off = read.copy()
    one_off[0] = 1 - one_off[0]
    assert peer.evidence(marked, one_off) == pytest.approx(32 * np.log10(2) - np.log10(33))
    assert peer.evidence(marked, 1 - read) == pytest.approx(0)


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_reads_pictures_that_a_cut_left_very_small(name: str) -> None:
    assert PEERS[name].read(drawing(height=8, width=16)).shape == (32,)


@pytest.mark.parametrize("wrong", [np.zeros(31, np.uint8), np.full(32, 2, np.uint8)])
def test_a_message_that_is_not_32_bits_is_refused(wrong: np.ndarray) -> None:
    for peer in PEERS.values():
        with pytest.raises(ValueError, match="32 bits"):
            peer.embed(drawing(), wrong)
