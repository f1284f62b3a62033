"""Work on many items in a few processes, each with one thread and its own weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any, TypeVar

import torch

Room = TypeVar("Room")
Item = TypeVar("Item")
Out = TypeVar("Out")

_ROOMS: list[Any] = []  # what this worker process opened: one thing, for its whole life


def spread(
    work: Callable[[Room, Item], Out],
    items: Iterable[Item],
    *,
    opened: Callable[[], Room],
    processes: int,
) -> Iterator[Out]:
    """`work(opened(), item)` for every item, in order, as soon as each is done.

    `opened` runs once a process; one process means this very one. All three must be picklable.
    """
    if processes == 1:
        room = opened()
        yield from (work(room, item) for item in items)
        return
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_open, initargs=(opened,)
    ) as pool:
        yield from pool.map(partial(_within, work), items)


def _open(opened: Callable[[], Any]) -> None:
    torch.set_num_threads(1)
    _ROOMS.append(opened())


def _within(work: Callable[[Any, Item], Out], item: Item) -> Out:
    return work(_ROOMS[0], item)
