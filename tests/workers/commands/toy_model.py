"""An installation with a toy model in the catalog, as the commands see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from generators.catalog import GENERATORS, Spec
from workers.command import main


@contextmanager
def installation(folder: Path, spec: Spec) -> Iterator[Path]:
    """The working folder, with a data folder beside it, and a model called toy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COUNTERMARK_DATA", str(folder / "data"))
        patch.chdir(folder)
        patch.setitem(GENERATORS, "toy", spec)
        assert main(["init"]) == 0
        yield folder
