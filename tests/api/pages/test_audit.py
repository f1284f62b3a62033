"""Auditing in a browser: entries, their path, sizes, keys, reports, and proofs checked offline."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import FilePayload, expect

from provenance.callers import Scope
from provenance.ledger.note import format_vkey
from tests.api.installations import Installed
from tests.api.pages.browser import Visitor

LOOK = {
    "version": "countermark-robustness/1",
    "title": "Toy <b>report</b>",
    "left_out": ["x264"],
    "tables": [
        {
            "method": "toy",
            "pictures": 20,
            "seed": 1,
            "thresholds": [{"name": "p <= 1e-06", "value": 6.0}],
            "rows": [
                {
                    "attack": attack,
                    "rates": [{"found": found, "of": 20, "low": 0.1, "high": 1.0}],
                    "median": 8.0,
                    "psnr": None,
                    "ssim": None,
                    "attack_seconds": 0.1,
                    "score_seconds": 0.1,
                }
                for attack, found in (("none", 20), ("jpeg-50", 11))
            ],
            "mean": [0.775],
        }
    ],
}


def drawn(here: Installed, count: int = 1) -> int:
    """The last entry of pictures that were just drawn."""
    key = here.key() | {"Prefer": "wait=30"}
    wish = {"prompt": "a red apple", "count": count}
    images = here.client.post("/v1/generations", json=wish, headers=key).json()["images"]
    here.worker.sign()
    return int(images[-1]["entry"])


def test_the_list_goes_on_and_is_filtered(member: Visitor) -> None:
    last = max(drawn(member.here, 8) for _ in range(3))
    member.go("/audit")
    entries = member.page.locator("tbody th a")
    expect(entries).to_have_count(20)
    expect(entries.first).to_have_text(f"entry {last}")
    member.page.get_by_role("link", name="Older entries").click()
    expect(entries.first).to_have_text(f"entry {last - 20}")
    member.page.select_option("#kind", "revocation")
    member.page.get_by_role("button", name="Filter").click()
    expect(member.page.locator("main")).to_contain_text("No entry fits")
    member.page.select_option("#kind", "")
    member.page.fill("#file", "zz")
    member.page.get_by_role("button", name="Filter").click()
    expect(member.page.locator("main")).to_contain_text("64 hexadecimal digits")
    member.check_clean()


def test_an_entry_shows_its_path_to_the_root_that_is_signed(member: Visitor) -> None:
    index = drawn(member.here, 3)
    member.go(f"/audit/entries/{index}")
    boxes = member.page.locator("svg.chart rect")
    assert boxes.count() >= 3
    root = member.page.locator("svg.chart rect.root")
    expect(root).to_have_count(1)
    computed = root.locator("xpath=../*[local-name()='title']").text_content()
    member.go("/audit")
    expect(member.page.locator("dl").first).to_contain_text(str(computed))


def test_whoever_may_not_audit_sees_the_checkpoint_and_no_entry(visitor: Visitor) -> None:
    drawn(visitor.here)
    visitor.go("/audit")
    expect(visitor.page.locator("dl").first).to_contain_text("example.com/log")
    expect(visitor.page.locator("tbody")).to_have_count(0)
    visitor.sign_in(Scope.VERIFY, after="/audit")
    expect(visitor.page.locator("main")).to_contain_text("lacks the scope audit")


def test_two_sizes_are_compared_and_a_size_that_is_not_signed_is_named(visitor: Visitor) -> None:
    newest = drawn(visitor.here, 5) + 1
    visitor.go("/audit/consistency")
    visitor.page.fill("#old", "2")
    visitor.page.get_by_role("button", name="Prove it").click()
    expect(visitor.page.locator("pre")).to_be_visible()
    visitor.go(f"/audit/consistency?old=1&new={newest + 1000}")
    expect(visitor.page.get_by_role("alert")).to_contain_text("newest signed size")


def test_keys_and_reports_are_shown(member: Visitor) -> None:
    member.go("/audit/keys")
    expect(member.page.locator("tbody")).to_contain_text("mark")
    expect(member.page.locator("tbody")).to_contain_text("active")
    secrets = [key.material.hex() for key in member.here.ring.keys]
    assert not [one for one in secrets if one in member.page.content()]
    member.go("/audit/reports")
    expect(member.page.locator("main")).to_contain_text("countermark bench robustness")
    for name, text in (("toy", json.dumps(LOOK)), ("broken", "{}")):
        write_report(member.here.settings.data / "reports" / name, text)
    member.page.reload()
    expect(member.page.locator("svg.chart rect.bar")).to_have_count(2)
    expect(member.page.locator("h2").nth(1)).to_have_text("Toy <b>report</b>")
    expect(member.page.locator("main")).to_contain_text("not a report of the bench")
    member.check_clean()


def write_report(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(text)


def test_a_proof_is_checked_in_the_browser_without_the_service(visitor: Visitor) -> None:
    here = visitor.here
    index = drawn(here)
    proof = here.client.get(f"/v1/records/{index}/proof", headers=here.key()).content
    visitor.go("/audit/proof")
    expect(visitor.page.locator("#log-key")).to_have_value(format_vkey(here.log[-1]))
    visitor.context.set_offline(True)

    def check(data: bytes) -> str:
        file = FilePayload(name="p.tlog-proof", mimeType="text/plain", buffer=data)
        visitor.page.set_input_files("#proof-file", files=[file])
        visitor.page.evaluate("document.getElementById('answer').replaceChildren()")
        visitor.page.get_by_role("button", name="Check", exact=True).click()
        return visitor.page.locator("#answer h2").inner_text()

    assert check(proof) == f"Proven: entry {index} of example.com/log"
    expect(visitor.page.locator("#answer")).to_contain_text("no later entry revokes it")
    assert check(proof[:-30] + b"A" + proof[-29:]) == "Not proven"
    assert check(b"something else") == "Not proven"
    visitor.page.fill("#log-key", "no key")
    assert check(proof) == "Not proven"
    visitor.check_clean()


def test_a_browser_without_ed25519_says_so_and_names_the_command(visitor: Visitor) -> None:
    visitor.page.add_init_script(
        "crypto.subtle.importKey = () => Promise.reject(new Error('NotSupportedError'))"
    )
    visitor.go("/audit/proof")
    expect(visitor.page.locator("#answer h2")).to_have_text("Cannot check here")
    expect(visitor.page.locator("#answer")).to_contain_text("Use the command")
