"""A LlamaGen of 64 codes that is brought to a data folder; its codec reads what it drew (48 px)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from generators.cards import Card
from generators.catalog import DAMAGED, GENERATORS
from generators.llamagen import LlamaGenConfig, LlamaGenTransformer
from tests.generators.checkpoints.parity import VECTORS
from workers.folder import DataFolder
from workers.importing import keep
from workers.looking import Wanted, look
from workers.trying import measured

SIDE = 24  # tokens: of fewer the mark of a key can now and then not be read
BY_CLASS = {"classes": 5}


def write(place: Path, asked: Mapping[str, int] = BY_CLASS, *, file: str = "c2i_tiny.pt") -> None:
    """The files as somebody would have them."""
    torch.manual_seed(0)
    transformer = LlamaGenTransformer(LlamaGenConfig(64, SIDE, 32, 1, 2, 64, **asked))
    place.mkdir()
    torch.save({"model": transformer.state_dict()}, place / file)
    save_file(load_file(VECTORS / "tiny_vqgan.safetensors"), place / "vq_tiny.safetensors")


def bring(
    folder: DataFolder,
    place: Path,
    *,
    name: str = "tiny",
    licence: str = "MIT",
    weights: str = "single",
) -> Card:
    """The model put into a data folder; its files are at `place`."""
    if not place.exists():
        write(place)
    found = look(Wanted((place,), name, licence, tokens=SIDE, heads=2, weights=weights))
    return keep(folder, found, measured(found))


@contextmanager
def catalog() -> Iterator[None]:
    """The catalog of this process is as it was, afterwards."""
    known = dict(GENERATORS)
    try:
        yield
    finally:
        GENERATORS.clear()
        GENERATORS.update(known)
        DAMAGED.clear()
