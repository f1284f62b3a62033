"""Packages of the optional extra `bench`, imported only when an attack or a peer needs them."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

from provenance.errors import ProvenanceError


class ExtraMissing(ProvenanceError):
    """A package of the extra `bench` is not installed."""


def module(name: str) -> ModuleType:
    """The imported module; ExtraMissing says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExtraMissing(_says(name)) from error


def folder(name: str) -> Path:
    """Where a package lies, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ExtraMissing(_says(name))
    return Path(found.origin).parent


def _says(name: str) -> str:
    return f"{name} is not installed: pip install 'countermark[bench]'"
