"""One authority and one trust list for all tests: opening one runs the canaries."""

import pytest

from provenance.manifest.read import Trust, open_trust
from tests.provenance.manifest.files import NOW, Authority, make_authority


@pytest.fixture(scope="session")
def authority() -> Authority:
    return make_authority()


@pytest.fixture(scope="session")
def trust(authority: Authority) -> Trust:
    return open_trust(authority.anchors, now=NOW)
