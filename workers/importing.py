"""Bringing a generator into the data folder: fetch it, write what was found and its card.

Files that somebody brings are read as plain tensors and written once as safetensors, with a card
beside them; so is what a model is asked through: a text encoder, or the sizes and words of a
language model. What is looked at is in `workers.looking`, what is measured in `workers.trying`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors.torch import save_file

from generators import t5
from generators.cards import CARD, CODEC, PAIRS, TRANSFORMER, Card, Kept, check_commercial
from generators.catalog import GENERATORS
from generators.checkpoints import janus
from generators.checkpoints.files import BadCheckpoint
from generators.checkpoints.folders import SHARDS
from generators.imported import digest_of
from provenance.files import write_file
from provenance.watermark.matching import Metric, match_codes
from workers.brought import MODELS, USE, is_commercial
from workers.folder import DataFolder
from workers.looking import SUFFIXES, Found

NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
BROUGHT = (*janus.FILES, *(f"*{end}" for end in SUFFIXES))  # what is fetched of a model
ENCODERS = (*t5.FILES, SHARDS)  # what is fetched of a text encoder


def declare_commercial(folder: DataFolder) -> None:
    """From now on weights whose licence is not known to allow commercial use are refused."""
    write_file(folder.path / USE, f"declared {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode())


def fetched(place: str, patterns: Sequence[str] = BROUGHT) -> Path:
    """A path as it is, or what a repository of the Hugging Face hub has of the patterns, once here.

    Raises BadCheckpoint for what is neither, and if the hub cannot be reached.
    """
    if Path(place).exists():
        return Path(place)
    if not HUB.fullmatch(place):
        raise BadCheckpoint(f"there is no file or folder {place}, and it is no id of the hub")
    try:
        return Path(snapshot_download(place, allow_patterns=list(patterns)))
    except (OSError, ValueError, HFValidationError) as e:
        reason = " ".join(str(e).split())[:200]
        raise BadCheckpoint(
            f"there is no file or folder {place}, and the Hugging Face hub does not give it: "
            f"{type(e).__name__}: {reason}"
        ) from e


def keep(folder: DataFolder, found: Found, card: Card) -> Card:
    """Write weights, pairs of codes, other files and the card into the data folder, or nothing."""
    place = folder.path / MODELS
    place.mkdir(mode=0o700, exist_ok=True)
    new = Path(mkdtemp(dir=place, prefix=f".{card.name}."))
    try:
        for name, tensors in ((TRANSFORMER, found.transformer), (CODEC, found.codec)):
            save_file({key: one.contiguous() for key, one in tensors.items()}, new / name)
        first, second = (digest_of(new / name) for name in (TRANSFORMER, CODEC))
        card = replace(card, transformer=first.hex(), codec=second.hex())
        codes = found.decoder.codes
        pairs = match_codes(codes.vectors.numpy(force=True), Metric(codes.metric))
        pairs.save(new / PAIRS, second)
        if found.beside is not None:
            card = replace(card, beside=_keep_beside(new, card, found.beside))
        write_file(new / CARD, card.text())
        new.rename(place / card.name)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # gone already if it was renamed
    return card


def _keep_beside(new: Path, card: Card, beside: Kept) -> dict[str, str]:
    """Write what a model is asked through into a folder of its own; its digests, hex."""
    assert card.needs is not None, "what is not needed is not read"
    (new / card.needs.folder).mkdir(mode=0o700)
    beside.save(new / card.needs.folder)
    return {path: digest_of(new / path).hex() for path in card.needs.paths}


def check_name(folder: DataFolder, name: str) -> None:
    """Raise BadCheckpoint for a name that cannot be one, or that is taken."""
    if not NAME.fullmatch(name):
        raise BadCheckpoint(f"{name!r} is no name of a model: small letters, digits, dots, dashes")
    if name in GENERATORS or (folder.path / MODELS / name).exists():
        raise BadCheckpoint(f"a model called {name} is there already: say another --name")


def check_licence(folder: DataFolder, card: Card) -> None:
    """Raise NotCommercial where the licence does not allow what this installation is for."""
    if is_commercial(folder.path):
        check_commercial(card)
