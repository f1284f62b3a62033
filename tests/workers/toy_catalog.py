"""The toy generator as the only one of the catalog, for processes of their own."""

from __future__ import annotations

import os
from pathlib import Path

from generators.catalog import GENERATORS
from tests.workers.toys import generator


def install() -> None:
    """From now on the catalog of this process has the toy alone; its files lie with the data."""
    folder = Path(os.environ["COUNTERMARK_DATA"])
    GENERATORS.clear()
    GENERATORS["toy"] = generator(folder)[0].spec
