"""Checking a picture in a browser: with scripts and without, by mouse and by keyboard."""

from __future__ import annotations

from base64 import b64encode

import pytest
from playwright.sync_api import Browser, FileChooser, FilePayload, Page, TimeoutError, expect

from bench.serving.proxy import Proxy
from tests.api.installations import Installed
from tests.api.pages.browser import Visitor, forget_all, visiting
from tests.api.toy_worker import png, upload

DROP = """([text, kind]) => {
  const data = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const held = new DataTransfer();
  held.items.add(new File([data], "dropped.png", { type: "image/png" }));
  const form = document.getElementById("check");
  const event = kind === "drop"
    ? new DragEvent("drop", { dataTransfer: held, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: held, bubbles: true });
  (kind === "drop" ? form : document).dispatchEvent(event);
}"""


def recorded(here: Installed) -> bytes:
    """The file of a picture that was drawn here."""
    key = here.key() | {"Prefer": "wait=30"}
    made = here.client.post("/v1/generations", json={"prompt": "a red apple"}, headers=key).json()
    image = made["images"][0]["url"].removeprefix("http://testserver")
    return here.client.get(image, headers=key).content


def test_no_evidence_is_never_shown_as_real(visitor: Visitor) -> None:
    visitor.send(png("nobody knows this"))
    assert visitor.heading() == "We cannot tell where this picture comes from."
    shown = visitor.page.locator(".verdict")
    expect(shown).to_have_class("verdict none")
    expect(shown).to_contain_text("This does not mean that it is real.")
    expect(visitor.page.locator("table")).not_to_contain_text("Number")
    expect(visitor.page.locator("#own img")).to_be_visible()  # the browser's own copy
    visitor.check_clean()


def test_a_recorded_picture_is_shown_with_numbers_records_and_downloads(member: Visitor) -> None:
    member.send(recorded(member.here))
    assert member.heading() == "Made here, and unchanged since."
    expect(member.page.locator(".verdict")).to_have_class("verdict good")
    expect(member.page.locator("table")).to_contain_text("entries with this digest: 1")
    expect(member.page.locator("main")).to_contain_text(
        "Marks of torn were not looked for: it cannot"
    )
    member.page.get_by_text("The search for marks in numbers").click()
    expect(member.page.locator("dl").first).to_contain_text("icons-128, other")
    for name in ("Result as JSON", "Proof of the record", "Evidence pack (ZIP)"):
        with member.page.expect_download() as waiting:
            member.page.get_by_role("link", name=name).click()
        assert waiting.value.failure() is None, name
    pictures = member.page.locator("figure img")
    for place in range(pictures.count()):
        assert pictures.nth(place).evaluate("(one) => one.decode().then(() => one.naturalWidth)")
    member.check_clean()


def test_the_link_shows_the_result_again_to_someone_else(
    visitor: Visitor, browser: Browser, address: str
) -> None:
    visitor.send(png("to be shared"))
    visitor.heading()
    with visiting(browser, address, visitor.here) as other:
        other.page.goto(visitor.page.url)
        assert other.heading() == "We cannot tell where this picture comes from."
        expect(other.page.locator("figure img:visible")).to_have_count(0)
        picture = other.page.request.get(f"{visitor.page.url}/picture")
        assert picture.status == 401


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(visitor: Visitor, kind: str) -> None:
    visitor.go("/")
    visitor.page.evaluate(DROP, [b64encode(png(kind)).decode(), kind])
    expect(visitor.page.locator("#chosen")).to_be_visible()
    visitor.page.click("#send")
    assert visitor.heading()
    visitor.check_clean()


def test_it_works_without_scripts(browser: Browser, address: str, here: Installed) -> None:
    with visiting(browser, address, here, java_script_enabled=False) as plain:
        plain.send(png("without scripts"))
        assert plain.heading() == "We cannot tell where this picture comes from."
        plain.send(b"GIF89a" + bytes(50))
        assert plain.heading() == "This media type is not taken"
        expect(plain.page.locator("main")).to_contain_text("image/png, image/jpeg, image/webp")


def opened_by_key(page: Page) -> FileChooser:
    """What a key opens on the focused field; a browser without a window now and then drops one."""
    page.bring_to_front()
    for key in ("Enter", "Space", "Enter", "Space"):
        try:
            with page.expect_file_chooser(timeout=5_000) as waiting:
                page.keyboard.press(key)
            return waiting.value
        except TimeoutError:
            continue
    raise AssertionError("no key opens the choice of a file")


def test_it_can_be_done_with_the_keyboard_alone(visitor: Visitor) -> None:
    visitor.go("/")
    page = visitor.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "file":
            break
    expect(page.locator("#file")).to_be_focused()
    chooser = opened_by_key(page)
    chooser.set_files(
        files=[FilePayload(name="a.png", mimeType="image/png", buffer=png("by keyboard"))]
    )
    expect(page.locator("#chosen")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "send"
    page.keyboard.press("Enter")
    assert visitor.heading()


def test_a_wrong_file_is_refused_before_it_is_sent_and_after(visitor: Visitor) -> None:
    visitor.go("/")
    said = visitor.page.locator("#said")
    visitor.choose(b"%PDF-1.7", "paper.pdf", "application/pdf")
    expect(said).to_contain_text("no PNG, JPEG or WebP")
    visitor.choose(b"", "empty.png")
    expect(said).to_contain_text("empty")
    visitor.choose(b"MZ" + bytes(50), "program.png")  # only its name says PNG
    visitor.page.click("#send")
    expect(said).to_contain_text("Taken are: image/png, image/jpeg, image/webp")
    visitor.choose(png("then a good one"))
    visitor.page.click("#send")
    assert visitor.heading()


def test_a_cut_network_is_told_and_can_be_tried_again(visitor: Visitor) -> None:
    visitor.go("/")
    visitor.choose(png("cut off"))
    visitor.context.set_offline(True)
    visitor.page.click("#send")
    expect(visitor.page.locator("#said")).to_contain_text("The connection broke")
    expect(visitor.page.locator("#send")).to_be_enabled()
    visitor.context.set_offline(False)
    visitor.page.click("#send")
    assert visitor.heading()


def test_a_job_that_fails_says_what_happened_and_what_to_do(visitor: Visitor) -> None:
    visitor.send(upload("broken"))
    assert visitor.heading() == "The picture could not be checked"
    expect(visitor.page.locator(".verdict")).to_contain_text("upload: not a picture")
    expect(visitor.page.locator(".verdict")).to_contain_text("a whole PNG, JPEG or WebP")


def test_a_waiting_job_says_so_survives_a_cut_and_then_comes_in(
    browser: Browser, address: str, here: Installed
) -> None:
    here.app.state.installation.buckets.__init__()
    here.worker.rest()
    with (
        Proxy(int(address.rpartition(":")[2])) as proxy,
        visiting(browser, f"http://127.0.0.1:{proxy.port}", here) as visitor,
    ):
        try:
            visitor.send(png("waits a while"))
            said = visitor.page.locator("#said")
            expect(said).to_contain_text("Waiting for a worker")
            visitor.page.wait_for_load_state("load")  # a script that is cut off listens to nothing
            proxy.cut()
            expect(said).to_contain_text("The connection broke. The work goes on")
            proxy.mend()
            expect(said).to_contain_text("Waiting for a worker")
        finally:
            here.worker.resume()
            proxy.mend()
        assert visitor.heading() == "We cannot tell where this picture comes from."


def test_a_wider_search_is_asked_for_without_sending_the_picture_again(visitor: Visitor) -> None:
    visitor.send(png("searched twice"))
    visitor.heading()
    first = visitor.page.url
    visitor.page.get_by_role("button", name="Search more widely").click()
    visitor.page.wait_for_url(lambda url: url != first)
    visitor.heading()
    expect(visitor.page.locator("main")).to_contain_text("This was the standard search")


def test_a_picture_that_is_forgotten_is_not_shown_nor_searched_again(member: Visitor) -> None:
    member.send(png("forgotten"))
    member.heading()
    forget_all(member.here)
    address = member.page.url.removeprefix(member.address)
    member.go(address)
    expect(member.page.locator("main")).to_contain_text("The picture and its maps are forgotten.")
    expect(member.page.locator("figure img")).to_have_count(0)
    expect(member.page.get_by_role("button", name="Search more widely")).to_have_count(0)
    for method, path in (("get", "picture"), ("post", "again")):
        headers = {"Origin": member.address}
        asked = getattr(member.page.request, method)
        assert asked(f"{member.address}{address}/{path}", headers=headers).status == 404
    member.check_clean()


HOSTILE = [
    '"><img src=x onerror=window.hit=1>.png',
    "<script>window.hit=1</script>.png",
    "{{ 7 * 7 }}{% include 'base.html' %}.png",
    "../../etc/passwd\u202egnp.png",
    "'; DROP TABLE jobs; --.png",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_files_do_nothing(visitor: Visitor, name: str) -> None:
    visitor.go("/")
    visitor.choose(png("hostile"), name)
    visitor.page.click("#send")
    assert visitor.heading()
    assert visitor.page.evaluate("window.hit") is None
    visitor.check_clean()


@pytest.mark.parametrize("text", HOSTILE)
def test_fields_of_manifests_are_text(member: Visitor, text: str) -> None:
    member.send(upload(f"states {text}"))
    member.heading()
    tree = member.page.locator(".tree")
    expect(tree).to_contain_text(f"Signed by: {text}")
    assert member.page.evaluate("window.hit") is None
    member.check_clean()
