"""Generators that people brought: a card and checked safetensors in a folder of their own.

What a card names is loaded only if its SHA-256 is the one that the card holds.
"""

from __future__ import annotations

from functools import partial
from hashlib import file_digest
from pathlib import Path

import torch
from torch import Tensor

from generators.cards import (
    CODEC,
    PAIRS,
    PARTS,
    TRANSFORMER,
    Card,
    Kept,
    check_commercial,
    read_card,
)
from generators.catalog import DAMAGED, EMBEDDED, GENERATORS, BadWeights, Spec, Weights
from generators.checkpoints.files import read
from generators.families import family_of
from generators.interface import Codec, DiscreteModel

LEAST = 0.01  # what a scale is weighed by that is hardly ever read rightly


def install(models: Path, *, commercial: bool) -> None:
    """Put every generator of a folder of folders into the catalog of this process.

    Where commercial use is declared, one whose licence is not known to allow it is there by name
    and refuses to be loaded; so is one whose card cannot be read or names another folder.
    """
    for folder in sorted(models.glob("*/")) if models.is_dir() else []:
        if folder.name.startswith("."):
            continue  # being written, or left by a crash
        try:
            card = read_card(folder)
            if card.name in EMBEDDED:
                raise BadWeights(f"{folder} is called as a model that comes with this package")
            GENERATORS[card.name] = spec_of(card, folder, commercial=commercial)
            DAMAGED.pop(card.name, None)
        except BadWeights as e:
            taken = folder.name in EMBEDDED
            name = f"{folder.parent.name}/{folder.name}" if taken else folder.name
            DAMAGED[name] = str(e)


def spec_of(card: Card, folder: Path, *, commercial: bool) -> Spec:
    """The spec of a card whose files lie in a folder."""
    codec = Weights(str(folder.resolve() / CODEC), bytes.fromhex(card.codec))
    scales = len(card.read_back)
    drawn = "what a text says" if card.by_text else f"one of {card.classes} classes, by number"
    licences = [f"{licence} ({part})" for part, licence in card.licences.items()]
    return Spec(
        draws=f"{drawn}, {card.side} px",
        licence=", ".join(licences) if len(licences) > 1 else card.licence,
        side=card.side,
        transformer=Weights(str(folder.resolve() / TRANSFORMER), bytes.fromhex(card.transformer)),
        codec=codec,
        reader=codec,
        pairs=str(folder.resolve() / PAIRS),
        build_model=partial(_model, card, folder.resolve(), codec, commercial=commercial),
        build_codec=partial(_codec, card, folder.resolve(), commercial=commercial),
        read_back=tuple(max(LEAST, one) for one in card.read_back) if scales > 1 else (1.0,),
        finds=False,
        sampling=family_of(card).sampling,
        by_class=not card.by_text,
    )


def checked(weights: Weights) -> dict[str, Tensor]:
    """The tensors of a file whose digest is right; raises BadWeights."""
    path = Path(weights.file)
    check_digest(path, weights.digest.hex())
    return read(path)


def checked_beside(card: Card, folder: Path) -> Kept | None:
    """What lies beside the weights of a card, once all of it is right; raises BadWeights."""
    if card.needs is None:
        return None
    for path in card.needs.paths:
        check_digest(folder / path, card.beside[path])
    return card.needs.read(folder / card.needs.folder)


def check_digest(path: Path, digest: str) -> None:
    """Raise BadWeights unless a file has the SHA-256, in hex."""
    if digest_of(path).hex() != digest:
        raise BadWeights(f"{path} was altered: its SHA-256 is not the one on its card")


def digest_of(path: Path) -> bytes:
    """SHA-256, 32 bytes; raises BadWeights."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").digest()
    except OSError as e:
        raise BadWeights(f"{path}: {e.strerror}") from e


def _model(
    card: Card,
    folder: Path,
    codec: Weights,
    weights: Weights,
    device: torch.device,
    *,
    commercial: bool,
) -> DiscreteModel:
    if commercial:
        check_commercial(card)
    if PARTS[card.weights] and device.type != "cpu":
        raise BadWeights(f"the weights of {card.name} are kept as halves: for processors only")
    beside, family = checked_beside(card, folder), family_of(card)
    decoder = family.codec(card, checked(codec), beside, device)
    return family.model(card, checked(weights), decoder, beside, device)


def _codec(
    card: Card,
    folder: Path,
    weights: Weights,
    _: Weights,
    device: torch.device,
    *,
    commercial: bool,
) -> Codec:
    if commercial:
        check_commercial(card)
    needed = card.needs is not None and card.needs.codec
    beside = checked_beside(card, folder) if needed else None
    return family_of(card).codec(card, checked(weights), beside, device)
