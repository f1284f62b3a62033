"""RFC 6962 against published vectors, and against its own recursive definition."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from provenance.ledger.errors import NotProven
from provenance.ledger.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    Hash,
    Node,
    Read,
    check_consistency,
    check_inclusion,
    cover,
    grow,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    tree_root,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "ledger_rfc6962.json").read_text()
)
LARGEST = 200


def hashes(texts: list[str]) -> tuple[Hash, ...]:
    return tuple(Hash(bytes.fromhex(text)) for text in texts)


def nodes_over(leaves: list[Hash]) -> dict[Node, Hash]:
    return grow(0, {}, leaves)


def among(nodes: dict[Node, Hash]) -> Read:
    return lambda _: nodes


LEAVES = [leaf_hash(bytes.fromhex(data)) for data in VECTORS["inputs"]]
REFERENCE = nodes_over(LEAVES)
MANY = nodes_over([leaf_hash(bytes([i])) for i in range(LARGEST)])
many, reference = among(MANY), among(REFERENCE)
ROOTS = [tree_root(size, many) for size in range(LARGEST + 1)]


def flip(value: Hash, bit: int) -> Hash:
    changed = bytearray(value)
    changed[bit >> 3] ^= 1 << (bit & 7)
    return Hash(bytes(changed))


def flipped(proof: tuple[Hash, ...], bits: range) -> Iterator[tuple[Hash, ...]]:
    for place, sibling in enumerate(proof):
        for bit in bits:
            yield (*proof[:place], flip(sibling, bit), *proof[place + 1 :])


def why_not_included(proof: tuple[Hash, ...], index: int, size: int) -> str:
    """Empty if the proof holds in MANY; `pytest.raises` is too slow for 10**5 calls."""
    try:
        check_inclusion(proof, index=index, size=size, leaf=MANY[0, index], root=ROOTS[size])
    except NotProven as e:
        return str(e)
    return ""


def why_not_consistent(proof: tuple[Hash, ...], old: int, new: int) -> str:
    try:
        check_consistency(
            proof, old_size=old, new_size=new, old_root=ROOTS[old], new_root=ROOTS[new]
        )
    except NotProven as e:
        return str(e)
    return ""


def defined_root(leaves: list[Hash]) -> Hash:
    """MTH of RFC 6962, section 2.1, as it is written there."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else EMPTY_ROOT
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(defined_root(leaves[:split]), defined_root(leaves[split:]))


def test_leaf_and_node_hashes_are_the_published_ones() -> None:
    for data, want in VECTORS["leaf"].items():
        assert leaf_hash(bytes.fromhex(data)).hex() == want
    pair = VECTORS["node"]
    left, right = hashes([pair["left"], pair["right"]])
    assert node_hash(left, right).hex() == pair["hash"]


def test_nodes_and_roots_of_the_reference_tree_are_the_published_ones() -> None:
    for level, row in enumerate(VECTORS["nodes"]):
        assert [REFERENCE[level, i].hex() for i in range(len(row))] == row
    assert len(REFERENCE) == sum(map(len, VECTORS["nodes"]))
    roots = [tree_root(size, reference).hex() for size in range(9)]
    assert roots == VECTORS["roots"]


@pytest.mark.parametrize("case", VECTORS["inclusion"])
def test_inclusion_proofs_are_the_published_ones(case: dict[str, Any]) -> None:
    index, size, want = case["index"], case["size"], hashes(case["proof"])
    assert prove_inclusion(index, size, reference) == want
    (root,) = hashes([VECTORS["roots"][size]])
    check_inclusion(want, index=index, size=size, leaf=LEAVES[index], root=root)


@pytest.mark.parametrize("case", VECTORS["consistency"])
def test_consistency_proofs_are_the_published_ones(case: dict[str, Any]) -> None:
    old, new, want = case["old"], case["new"], hashes(case["proof"])
    assert prove_consistency(old, new, reference) == want
    old_root, new_root = hashes([VECTORS["roots"][old], VECTORS["roots"][new]])
    check_consistency(want, old_size=old, new_size=new, old_root=old_root, new_root=new_root)


def test_subtrees_and_their_proofs_have_the_accumulated_hashes_of_the_ietf_draft() -> None:
    limit = VECTORS["accumulated"]["max"]
    leaves = [leaf_hash(bytes([i])) for i in range(limit)]
    roots, paths = sha256(), sha256()
    for end in range(limit + 1):
        for start in range(end + 1):
            width = end - start
            if width and start % (1 << (width - 1).bit_length()):
                continue
            part = nodes_over(leaves[start:end])
            roots.update(f"[{start}, {end}) {tree_root(width, among(part)).hex()}\n".encode())
            for index in range(width):
                path = prove_inclusion(index, width, among(part))
                line = " ".join([f"{start + index} [{start}, {end})", *(h.hex() for h in path)])
                paths.update(line.encode() + b"\n")
    assert roots.hexdigest() == VECTORS["accumulated"]["hashes"]
    assert paths.hexdigest() == VECTORS["accumulated"]["inclusion"]


def test_roots_agree_with_the_definition_at_every_size() -> None:
    leaves = [MANY[0, i] for i in range(LARGEST)]
    assert [defined_root(leaves[:size]) for size in range(LARGEST + 1)] == ROOTS


def test_growing_in_any_steps_makes_the_same_nodes() -> None:
    leaves = [MANY[0, i] for i in range(100)]
    for step in (1, 3, 7, 64):
        built: dict[Node, Hash] = {}
        for start in range(0, 100, step):
            frontier = {node: built[node] for node in cover(0, start)}
            built |= grow(start, frontier, leaves[start : start + step])
        assert built == nodes_over(leaves)


def test_every_inclusion_proof_to_size_200_holds_and_fails_with_a_flipped_bit() -> None:
    bit = 0
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = prove_inclusion(index, size, many)
            assert not why_not_included(proof, index, size)
            bit = (bit + 1) % 256
            for bad in flipped(proof, range(bit, bit + 1)):
                assert why_not_included(bad, index, size)


def test_every_consistency_proof_to_size_200_holds_and_fails_with_a_flipped_bit() -> None:
    bit = 0
    for new in range(1, LARGEST + 1):
        for old in range(1, new + 1):
            proof = prove_consistency(old, new, many)
            assert not why_not_consistent(proof, old, new)
            bit = (bit + 1) % 256
            for bad in flipped(proof, range(bit, bit + 1)):
                assert why_not_consistent(bad, old, new)


@pytest.mark.parametrize(("index", "size"), [(0, 2), (6, 7), (100, 129), (199, 200)])
def test_check_inclusion_rejects_every_flipped_bit_of_every_part(index: int, size: int) -> None:
    proof = prove_inclusion(index, size, many)
    leaf, root = MANY[0, index], ROOTS[size]
    check_inclusion(proof, index=index, size=size, leaf=leaf, root=root)
    for bad in flipped(proof, range(256)):
        with pytest.raises(NotProven):
            check_inclusion(bad, index=index, size=size, leaf=leaf, root=root)
    for bit in range(256):
        with pytest.raises(NotProven):
            check_inclusion(proof, index=index, size=size, leaf=flip(leaf, bit), root=root)
        with pytest.raises(NotProven):
            check_inclusion(proof, index=index, size=size, leaf=leaf, root=flip(root, bit))
    for bit in range(64):
        with pytest.raises(NotProven):
            check_inclusion(proof, index=index ^ 1 << bit, size=size, leaf=leaf, root=root)


@pytest.mark.parametrize(("old", "new"), [(1, 2), (6, 7), (64, 129), (129, 200)])
def test_check_consistency_rejects_every_flipped_bit_of_every_part(old: int, new: int) -> None:
    proof = prove_consistency(old, new, many)
    assert not why_not_consistent(proof, old, new)
    for bad in flipped(proof, range(256)):
        assert why_not_consistent(bad, old, new)
    for bit in range(256):
        for roots in (flip(ROOTS[old], bit), ROOTS[new]), (ROOTS[old], flip(ROOTS[new], bit)):
            with pytest.raises(NotProven):
                check_consistency(
                    proof, old_size=old, new_size=new, old_root=roots[0], new_root=roots[1]
                )


@pytest.mark.parametrize(
    ("index", "size"),
    [(-1, 7), (7, 7), (8, 7), (6, 8), (0, 0), (0, MAX_SIZE + 1)],
)
def test_check_inclusion_rejects_another_place_or_size(index: int, size: int) -> None:
    proof = prove_inclusion(6, 7, many)
    check_inclusion(proof, index=6, size=7, leaf=MANY[0, 6], root=ROOTS[7])
    with pytest.raises(NotProven):
        check_inclusion(proof, index=index, size=size, leaf=MANY[0, 6], root=ROOTS[7])


@pytest.mark.parametrize("cut", [slice(1, None), slice(None, -1), slice(0, 0)])
def test_checks_reject_a_shortened_proof(cut: slice) -> None:
    path = prove_inclusion(5, 100, many)
    with pytest.raises(NotProven):
        check_inclusion(path[cut], index=5, size=100, leaf=MANY[0, 5], root=ROOTS[100])
    steps = prove_consistency(77, 100, many)
    with pytest.raises(NotProven):
        check_consistency(
            steps[cut], old_size=77, new_size=100, old_root=ROOTS[77], new_root=ROOTS[100]
        )


@pytest.mark.parametrize("extra", [0, -1])
def test_checks_reject_a_lengthened_proof(extra: int) -> None:
    path = prove_inclusion(5, 100, many)
    longer = [*path, path[extra]] if extra else [path[0], *path]
    with pytest.raises(NotProven):
        check_inclusion(longer, index=5, size=100, leaf=MANY[0, 5], root=ROOTS[100])
    steps = prove_consistency(64, 100, many)
    longer = [*steps, steps[extra]] if extra else [steps[0], *steps]
    with pytest.raises(NotProven):
        check_consistency(
            longer, old_size=64, new_size=100, old_root=ROOTS[64], new_root=ROOTS[100]
        )


@pytest.mark.parametrize(("old", "new"), [(0, 5), (-1, 5), (6, 5), (0, 0)])
def test_check_consistency_rejects_sizes_that_prove_nothing(old: int, new: int) -> None:
    with pytest.raises(NotProven):
        check_consistency((), old_size=old, new_size=new, old_root=EMPTY_ROOT, new_root=ROOTS[5])


def test_check_consistency_rejects_two_roots_of_one_size() -> None:
    check_consistency((), old_size=5, new_size=5, old_root=ROOTS[5], new_root=ROOTS[5])
    with pytest.raises(NotProven):
        check_consistency((), old_size=5, new_size=5, old_root=ROOTS[5], new_root=ROOTS[6])


def test_checks_reject_hashes_of_another_length() -> None:
    empty = Hash(b"")
    with pytest.raises(NotProven, match="32 bytes long, not 0"):
        check_inclusion((), index=0, size=1, leaf=empty, root=empty)
    with pytest.raises(NotProven, match="32 bytes long, not 0"):
        check_consistency((), old_size=1, new_size=1, old_root=empty, new_root=empty)
