"""One installation for the tests of a module; what they change, they make for themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.installations import Installed, installed


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(Path(tmp_path_factory.mktemp("installation"))) as found:
        yield found
