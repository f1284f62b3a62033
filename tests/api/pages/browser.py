"""A real browser on a service that runs, and everything it complained about meanwhile.

Chromium is the system's own (`apt-get install chromium`). Where it is missing the tests are
skipped, except in CI, which must have it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FilePayload,
    Page,
    Response,
    expect,
    sync_playwright,
)

import api.pages
from provenance.callers import Scope
from provenance.database import transaction
from provenance.forgetting import forget
from tests.api.installations import Installed

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 120_000  # ms: a busy machine is no defect
STATIC = Path(api.pages.__file__).parent / "static"
WATCH = """
window.faults = [];
addEventListener("securitypolicyviolation", (e) =>
  window.faults.push(`${e.violatedDirective}: ${e.blockedURI}`));
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; skips the test where there is none, fails it in CI."""
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("CI must have Chromium: apt-get install chromium")
    if found is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """Someone with a browser, and what the browser loaded and complained about."""

    browser: Browser
    address: str
    here: Installed
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)
    answer: Response | None = None  # to the last `go`

    def go(self, path: str) -> None:
        """Opens a page of the service."""
        self.answer = self.page.goto(self.address + path)

    def sign_in(self, *scopes: Scope, after: str = "/") -> None:
        """Signs in with a new API key, of every scope if none is named, through the form."""
        token = self.here.key(*scopes)["Authorization"].removeprefix("Bearer ")
        self.go(f"/sign-in?after={after}")
        self.page.fill("#key", token)
        self.page.click("form.fields button")
        self.page.wait_for_url(self.address + after)

    def send(self, data: bytes, name: str = "picture.png", media: str = "image/png") -> None:
        """Checks a file through the form of the front page."""
        self.go("/")
        self.choose(data, name, media)
        self.page.click("#send")

    def choose(self, data: bytes, name: str = "picture.png", media: str = "image/png") -> None:
        """Picks a file in the form."""
        file = FilePayload(name=name, mimeType=media, buffer=data)
        self.page.set_input_files("#file", files=[file])

    def heading(self) -> str:
        """The page's first heading, once there is a verdict."""
        self.page.wait_for_selector(".verdict h1")
        return self.page.inner_text(".verdict h1")

    def weight(self) -> int:
        """Bytes of the page that `go` opened and of every script and style there is."""
        assert self.answer is not None, "a page was opened"
        return len(self.answer.body()) + sum(file.stat().st_size for file in STATIC.iterdir())

    def check_clean(self) -> None:
        """Nothing was asked of any other host, no policy broken, no script failed."""
        faults = self.page.evaluate("window.faults")
        assert faults == [], faults
        assert self.complaints == [], self.complaints


@contextmanager
def visiting(browser: Browser, address: str, here: Installed, **options: Any) -> Iterator[Visitor]:
    """A visitor without history; what the browser complained about fails the test."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    made = Visitor(browser, address, here, context, page)
    page.add_init_script(WATCH)
    page.on("pageerror", lambda error: made.complaints.append(f"script: {error}"))
    page.on("console", lambda said: _listen(made, said.type, said.text))
    page.on("request", lambda request: _watch(made, request.url))
    try:
        yield made
    finally:
        context.close()


def forget_all(here: Installed) -> None:
    """Every job that has ended forgets what it was given."""
    later = datetime.now(UTC) + timedelta(days=1)
    with transaction(here.engine) as session:
        forget(session, before=later, now=later)


def _listen(made: Visitor, kind: str, text: str) -> None:
    if kind == "error" and "Failed to load resource" not in text:
        made.complaints.append(f"console: {text}")


def _watch(made: Visitor, url: str) -> None:
    if urlsplit(url).scheme not in ("data", "blob") and not url.startswith(made.address):
        made.complaints.append(f"asked elsewhere: {url}")
