"""`python -m bench.pages --out docs/pages`: the pictures of docs/pages.md, of a service that runs.

A new installation with icons-128 is served, and a browser goes through checking, drawing and
auditing. The pictures are of the pages as they come; nothing in them is made up.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import sklearn.datasets
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

from bench.serving.running import Programs, Running, embedded

PHOTOGRAPH = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"
PROMPT, SEED, COUNT = "a red apple, on a blue background", 7, 2
WIDE, HIGH, COLOURS = 1000, 700, 128  # px, and colours of a picture's palette
PATIENCE = 540_000  # ms that anything may take
Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Camera:
    """A browser's page, and where pictures of it go."""

    page: Page
    address: str
    out: Path

    def go(self, path: str) -> None:
        """Opens a page."""
        self.page.goto(self.address + path)

    def take(self, name: str) -> None:
        """A picture of the whole page, in few colours."""
        self.page.wait_for_function("[...document.images].every((one) => one.complete)")
        self.page.evaluate("scrollTo(0, 0)")
        shot = Image.open(BytesIO(self.page.screenshot(full_page=True))).convert("RGB")
        small = shot.quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(self.out / f"{name}.png", optimize=True)

    def check(self, data: bytes, name: str) -> None:
        """Sends a file and waits for what comes of it."""
        self.go("/")
        media = "image/jpeg" if name.endswith(".jpg") else "image/png"
        file = FilePayload(name=name, mimeType=media, buffer=data)
        self.page.set_input_files("#file", files=[file])
        self.page.click("#send")
        self.page.wait_for_selector(".verdict h1")

    def sign_in(self, token: str) -> None:
        """A session for the holder of a key."""
        self.go("/sign-in")
        self.page.fill("#key", token)
        self.page.click("form.fields button")
        self.page.wait_for_selector(".who button")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make every picture."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded(Path(folder) / "data", Programs()) as running,
        sync_playwright() as playwright,
    ):
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path)
        journey(browser, running, options.out)
        browser.close()


def journey(browser: Browser, running: Running, out: Path) -> None:
    """Checking without a key, then drawing, checking what was drawn, and auditing."""
    _without_key(_camera(browser, running, out, "light"))
    camera = _camera(browser, running, out, "light")
    camera.sign_in(running.client.token)
    drawn = _draw(camera)
    camera.check(drawn, "apple.png")
    camera.take("check-ours")
    camera.check(_changed(drawn), "apple-changed.jpg")
    camera.take("check-changed")
    _audit(camera, _camera(browser, running, out, "dark"), running.client.token)


def _camera(browser: Browser, running: Running, out: Path, scheme: Scheme) -> Camera:
    size = {"width": WIDE, "height": HIGH}
    context = browser.new_context(color_scheme=scheme, reduced_motion="reduce", viewport=size)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    return Camera(context.new_page(), f"http://127.0.0.1:{running.port}", out)


def _without_key(camera: Camera) -> None:
    camera.go("/")
    camera.take("check")
    camera.check(PHOTOGRAPH.read_bytes(), "palace.jpg")
    camera.take("check-nothing")


def _draw(camera: Camera) -> bytes:
    """The file of the first picture."""
    camera.go("/generate")
    page = camera.page
    page.fill("#prompt", PROMPT)
    page.fill("#count", str(COUNT))
    page.fill("#seed", str(SEED))
    page.select_option("#survive", "jpeg-50")
    camera.take("draw")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.wait_for_selector("#previews img:not([hidden])")
    camera.take("drawing")
    page.wait_for_selector("figure.made")
    page.locator(".pin summary").nth(1).click()
    camera.take("drawn")
    made = page.request.get(camera.address + str(page.get_attribute("figure.made a", "href")))
    return made.body()


def _changed(drawn: bytes) -> bytes:
    """A copy that was painted into and saved as JPEG, as a person might."""
    picture = Image.open(BytesIO(drawn)).convert("RGB")
    ImageDraw.Draw(picture).rectangle((8, 104, 26, 118), fill=(250, 220, 60))
    out = BytesIO()
    picture.save(out, "JPEG", quality=90)
    return out.getvalue()


def _audit(camera: Camera, dark: Camera, token: str) -> None:
    camera.go("/audit")
    camera.take("audit")
    entry = str(camera.page.get_attribute("tbody th a", "href"))
    camera.go(entry)
    camera.take("entry")
    proof = camera.page.request.get(f"{camera.address}/v1/records/{entry.rpartition('/')[2]}/proof")
    dark.sign_in(token)
    dark.go("/audit/proof")
    dark.page.context.set_offline(offline=True)
    file = FilePayload(name="apple.tlog-proof", mimeType="text/plain", buffer=proof.body())
    dark.page.set_input_files("#proof-file", files=[file])
    dark.page.get_by_role("button", name="Check", exact=True).click()
    dark.page.wait_for_selector("#answer h2")
    dark.take("proof")


if __name__ == "__main__":
    main()
