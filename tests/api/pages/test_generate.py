"""Drawing in a browser: previews that fill in, pictures with what belongs to them, refusals."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from api.documents import Wish
from api.pages.generate import MARKS
from provenance.callers import Scope
from tests.api.installations import Installed
from tests.api.pages.browser import Visitor, forget_all, visiting
from tests.api.toy_worker import SLOW
from workers import marking


def draw(visitor: Visitor, prompt: str, count: str = "1") -> None:
    """Asks for pictures through the form."""
    visitor.go("/generate")
    visitor.page.fill("#prompt", prompt)
    visitor.page.fill("#count", count)
    visitor.page.get_by_role("button", name="Draw", exact=True).click()


def test_previews_fill_in_and_the_pictures_come_with_their_papers(member: Visitor) -> None:
    member.here.worker.pause()
    try:
        draw(member, f"an apple, drawn {SLOW}", count="2")
        expect(member.page.locator("#previews img").first).to_be_visible()
    finally:
        member.here.worker.resume()
    made = member.page.locator("figure.made")
    expect(made).to_have_count(2)
    first = made.first
    assert first.locator("img").evaluate("(one) => one.decode().then(() => one.naturalWidth)")
    first.locator(".pin summary").click()
    expect(first.locator(".pin")).to_contain_text("entry")
    expect(first.get_by_role("link", name="Proof", exact=True)).to_be_visible()
    with member.page.expect_download() as waiting:
        first.get_by_role("link", name="Proof", exact=True).click()
    assert waiting.value.path().read_bytes().startswith(b"c2sp.org/tlog-proof@v1\n")
    member.check_clean()


def test_a_refused_wish_says_why_and_keeps_what_was_written(member: Visitor) -> None:
    member.go("/generate")
    member.page.fill("#prompt", "a red apple")
    member.page.evaluate("document.getElementById('count').removeAttribute('max')")
    member.page.fill("#count", "99")
    member.page.get_by_role("button", name="Draw", exact=True).click()
    expect(member.page.locator("#count-fault")).to_contain_text("less than or equal to 8")
    expect(member.page.locator("#prompt")).to_have_value("a red apple")
    draw(member, "something unmarkable")
    said = member.page.locator(".verdict")
    expect(said).to_contain_text("too flat to carry a mark")
    expect(said).to_contain_text("another seed")


def test_what_policies_keep_out_is_told_before_and_after(member: Visitor) -> None:
    key = member.here.key()
    for model, name in (("*", "bomb"), ("m1", "<b>gun</b>")):
        body = {"concepts": [{"name": name, "phrases": ["a bombshell"]}]}
        assert member.here.client.put(f"/v1/policies/{model}", json=body, headers=key).is_success
    member.go("/generate")
    told = member.page.locator("#kept-out")
    expect(told).to_contain_text("Kept out: <b>gun</b> (m1), bomb.")
    for model in ("*", "m1"):
        member.here.client.put(f"/v1/policies/{model}", json={"concepts": []}, headers=key)
    member.go("/generate")
    expect(told).to_have_count(0)
    draw(member, "something forbidden")
    said = member.page.locator(".verdict")
    expect(said).to_contain_text("(banned)")
    expect(said).to_contain_text("Ask for something else")
    member.check_clean()


def test_the_first_choice_of_a_mark_is_the_default_of_the_api(member: Visitor) -> None:
    assert list(MARKS) == [str(kind) for kind in marking.Kind]
    member.go("/generate")
    expect(member.page.locator("#mark")).to_have_value(Wish(prompt="x").mark)


def test_a_prompt_that_is_forgotten_is_told_as_that(member: Visitor) -> None:
    draw(member, "to be forgotten")
    expect(member.page.locator("figure.made")).to_have_count(1)
    forget_all(member.here)
    member.page.reload()
    expect(member.page.locator("h1")).to_have_text("A forgotten prompt")
    member.go("/generate")
    expect(member.page.get_by_role("link", name="a forgotten prompt").first).to_be_visible()
    member.check_clean()


def test_a_job_can_be_stopped(member: Visitor) -> None:
    member.here.worker.rest()
    try:
        draw(member, "never drawn")
        member.page.get_by_role("button", name="Stop drawing").click()
        expect(member.page.locator("main")).to_contain_text("nothing is given out")
    finally:
        member.here.worker.resume()


def test_drawing_needs_a_key_of_its_scope_and_says_so(
    visitor: Visitor, browser: Browser, address: str, here: Installed
) -> None:
    visitor.go("/generate")
    expect(visitor.page.locator("main")).to_contain_text("needs an API key")
    visitor.sign_in(Scope.VERIFY, after="/generate")
    expect(visitor.page.locator("main")).to_contain_text("needs an API key with the scope")
    with visiting(browser, address, here, java_script_enabled=False) as plain:
        plain.sign_in(after="/generate")
        draw(plain, "drawn without scripts")
        expect(plain.page.locator("figure.made")).to_have_count(1)


def test_hostile_prompts_are_text(member: Visitor) -> None:
    prompt = '"><img src=x onerror=window.hit=1><script>window.hit=1</script> ${7*7} {{7*7}}'
    draw(member, prompt)
    expect(member.page.locator("figure.made")).to_have_count(1)
    expect(member.page.locator("h1")).to_have_text(prompt)
    member.go("/generate")
    expect(member.page.get_by_role("link", name=prompt)).to_be_visible()
    assert member.page.evaluate("window.hit") is None
    member.check_clean()
