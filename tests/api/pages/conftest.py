"""One browser and one service that runs, for the tests of a module.

A browser does not outlive its module: while it is open no other test can run an event loop.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.api.installations import Installed
from tests.api.pages.browser import Visitor, chromium, visiting
from tests.api.serving import serving


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def address(here: Installed) -> Iterator[str]:
    with serving(here.app) as found:
        yield found


@pytest.fixture
def visitor(browser: Browser, address: str, here: Installed) -> Iterator[Visitor]:
    """Someone who is not signed in."""
    here.app.state.installation.buckets.__init__()  # the rate is not what is tried here
    with visiting(browser, address, here) as made:
        yield made


@pytest.fixture
def member(visitor: Visitor) -> Visitor:
    """Someone who is signed in with a key of every scope."""
    visitor.sign_in()
    return visitor
