"""Property tests have no deadline: a busy machine is not a defect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.provenance.tokens import Token

settings.register_profile("countermark", deadline=None)
settings.load_profile("countermark")


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    """One for all tests: a process can load SoftHSM's library for one folder only."""
    from tests.provenance.tokens import soft_token

    with soft_token(tmp_path_factory.mktemp("softhsm")) as made:
        yield made
