"""A toy generator as the only one of the catalog, for processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

from generators.catalog import GENERATORS
from tests.workers import toys, uploads

MARKS = "COUNTERMARK_TEST_MARKS"  # set: the toy that marks uploads, else the one that draws
DARK = 160  # levels of grey: no drawing loses its mark to light, so each is drawn once


def install() -> None:
    """From now on the catalog of this process has the toy alone; its files lie with the data."""
    folder = Path(os.environ["COUNTERMARK_DATA"])
    marks = MARKS in os.environ
    spec = uploads.toy(folder)[0] if marks else toys.generator(folder, levels=DARK)[0].spec
    GENERATORS.clear()
    GENERATORS["toy"] = spec
