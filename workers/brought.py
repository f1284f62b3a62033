"""Generators that people brought: where a data folder keeps them, and when they have changed."""

from __future__ import annotations

from pathlib import Path

from generators.cards import CARD
from generators.imported import install

MODELS = "models"  # in the data folder
USE = "commercial"  # a file there: weights that may not be used so are refused


def install_models(data: Path) -> None:
    """Put the generators of a data folder into the catalog of this process."""
    install(data / MODELS, commercial=is_commercial(data))


def is_commercial(data: Path) -> bool:
    """Whether the installation in a data folder is declared to be for commercial use."""
    return (data / USE).exists()


def version_of(data: Path) -> tuple[object, ...]:
    """Another one whenever a generator was added, and when commercial use was declared."""
    folders = sorted((data / MODELS).glob("[!.]*/"))
    return is_commercial(data), *((folder.name, _changed(folder / CARD)) for folder in folders)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
