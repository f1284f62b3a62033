"""Merkle trees of RFC 6962, section 2.1, over stored nodes.

Guarantees: a proof that `check_inclusion` or `check_consistency` accepts binds the leaf, or the old
root, to the root, as far as SHA-256 holds. Says nothing about who vouches for a root: see `note`.
A node (level, index) is the root of the complete subtree over leaves [index << level,
(index + 1) << level); such nodes never change, so a log stores each of them once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import NewType

from provenance.ledger.errors import NotProven

Hash = NewType("Hash", bytes)
HASH_BYTES = 32
MAX_SIZE = 2**63 - 1  # tree sizes travel as signed 64-bit integers in every database

Node = tuple[int, int]
Read = Callable[[Sequence[Node]], Mapping[Node, Hash]]

EMPTY_ROOT = Hash(sha256().digest())


def leaf_hash(data: bytes) -> Hash:
    return Hash(sha256(b"\x00" + data).digest())


def node_hash(left: Hash, right: Hash) -> Hash:
    return Hash(sha256(b"\x01" + left + right).digest())


def cover(start: int, end: int) -> tuple[Node, ...]:
    """The largest complete subtrees that make up leaves [start, end), from left to right."""
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        nodes.append((level, start >> level))
        start += 1 << level
    return tuple(nodes)


def fold(hashes: Sequence[Hash]) -> Hash:
    """The root over the subtrees of one `cover`, joined from the right as RFC 6962 splits them."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def grow(size: int, frontier: Mapping[Node, Hash], leaves: Iterable[Hash]) -> dict[Node, Hash]:
    """The nodes that appending `leaves` to a tree of `size` completes, the leaves among them.

    `frontier` holds at least the nodes of `cover(0, size)`.
    """
    made: dict[Node, Hash] = {}
    for index, leaf in enumerate(leaves, start=size):
        node, value = (0, index), leaf
        made[node] = value
        while node[1] & 1:
            level, place = node
            left = (level, place - 1)
            value = node_hash(made[left] if left in made else frontier[left], value)
            node = (level + 1, place >> 1)
            made[node] = value
    return made


def tree_root(size: int, read: Read) -> Hash:
    nodes = cover(0, size)
    hashes = read(nodes)
    return fold([hashes[node] for node in nodes])


def prove_inclusion(index: int, size: int, read: Read) -> tuple[Hash, ...]:
    """PATH(index, D[0:size]) of RFC 6962, section 2.1.1, from the leaf's sibling upwards."""
    assert 0 <= index < size, "no such leaf in the tree"
    ranges = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return _hash_ranges(ranges[::-1], read)


def prove_consistency(old_size: int, new_size: int, read: Read) -> tuple[Hash, ...]:
    """PROOF(old_size, D[0:new_size]) of RFC 6962, section 2.1.2."""
    assert 0 < old_size <= new_size, "a tree only grows, from its first leaf on"
    ranges = []
    low, high = 0, new_size
    while high != old_size:
        middle = low + _split(high - low)
        if old_size <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    if low:
        ranges.append((low, high))
    return _hash_ranges(ranges[::-1], read)


def check_inclusion(
    proof: Sequence[Hash], *, index: int, size: int, leaf: Hash, root: Hash
) -> None:
    """Raises NotProven unless `leaf` is at `index` of the tree (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size <= MAX_SIZE:
        raise NotProven(f"index {index} is not in a tree of size {size}")
    _check_lengths(leaf, root, *proof)
    place, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise NotProven("inclusion proof is too long")
        if place & 1 or place == last:
            value = node_hash(sibling, value)
            place, last = _skip_ragged_edge(place, last)
        else:
            value = node_hash(value, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise NotProven("inclusion proof is too short")
    if value != root:
        raise NotProven(f"inclusion proof of index {index} does not lead to the root")


def check_consistency(
    proof: Sequence[Hash], *, old_size: int, new_size: int, old_root: Hash, new_root: Hash
) -> None:
    """Raises NotProven unless the new tree only adds to the old (RFC 9162, section 2.1.4.2).

    An empty old tree is refused: every tree extends it, so there is nothing to prove.
    """
    if not 0 < old_size <= new_size <= MAX_SIZE:
        raise NotProven(f"a tree of size {new_size} cannot extend one of size {old_size}")
    _check_lengths(old_root, new_root, *proof)
    if old_size == new_size:
        if proof or old_root != new_root:
            raise NotProven(f"two different trees of size {old_size}")
        return
    if not proof:
        raise NotProven("consistency proof is empty")
    old, new = _climb(proof, old_size, new_size, old_root)
    if old != old_root or new != new_root:
        raise NotProven(f"size {new_size} does not extend size {old_size}")


def _climb(
    proof: Sequence[Hash], old_size: int, new_size: int, old_root: Hash
) -> tuple[Hash, Hash]:
    """The old and the new root that a consistency proof leads to."""
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    path = proof if place else (old_root, *proof)
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise NotProven("consistency proof is too long")
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            place, last = _skip_ragged_edge(place, last)
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise NotProven("consistency proof is too short")
    return old, new


def _check_lengths(*hashes: Hash) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise NotProven(f"a hash is {HASH_BYTES} bytes long, not {len(value)}")


def _split(width: int) -> int:
    """The largest power of two smaller than `width`."""
    return 1 << ((width - 1).bit_length() - 1)


def _skip_ragged_edge(place: int, last: int) -> tuple[int, int]:
    """Climbs the levels on which the rightmost node has no sibling."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _hash_ranges(ranges: Sequence[tuple[int, int]], read: Read) -> tuple[Hash, ...]:
    covers = [cover(start, end) for start, end in ranges]
    hashes = read([node for nodes in covers for node in nodes])
    return tuple(fold([hashes[node] for node in nodes]) for nodes in covers)
