"""The browser's check of a proof says the same as the command, fault by fault."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from provenance.ledger.errors import LedgerError
from provenance.ledger.note import parse_vkey
from provenance.ledger.proof import open_proof
from tests.api.installations import Installed
from tests.api.pages.browser import Visitor, visiting
from tests.api.pages.proofs import Case, bad, good
from workers.command import main

CHECK = """async (cases) => {
  const { openProof, Refused } = await import("/static/proof.js");
  const said = [];
  for (const { data, log, witnesses } of cases) {
    try {
      const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
      const found = await openProof(bytes, [log], witnesses);
      said.push(`proven ${found.index} ${found.record.kind}`);
    } catch (fault) {
      said.push(fault instanceof Refused ? fault.fault : `defect: ${fault}`);
    }
  }
  return said;
}"""
COUNT = 200


@pytest.fixture(scope="module")
def auditor(browser: Browser, address: str, here: Installed) -> Iterator[Visitor]:
    with visiting(browser, address, here) as made:
        made.go("/audit/proof")
        yield made


def in_browser(auditor: Visitor, cases: list[Case]) -> list[str]:
    """What the page's own script says of each."""
    given = [
        {"data": b64encode(c.data).decode(), "log": c.log, "witnesses": list(c.witnesses)}
        for c in cases
    ]
    said: list[str] = auditor.page.evaluate(CHECK, given)
    return said


def in_python(case: Case) -> str:
    """What the checker behind the command says."""
    try:
        witnesses = [parse_vkey(one) for one in case.witnesses]
        log = [parse_vkey(case.log)]
        found = open_proof(case.data, log, witnesses=witnesses, quorum=len(witnesses))
    except LedgerError as e:
        return type(e).__name__
    return f"proven {found.index} {found.record.kind}"


def test_both_prove_the_same_good_proofs(auditor: Visitor) -> None:
    cases = list(good(random.Random(1), COUNT))
    told = in_browser(auditor, cases)
    assert told == [in_python(case) for case in cases]
    assert len(told) == COUNT
    assert all(one.startswith("proven") for one in told)


def test_both_refuse_the_same_bad_proofs_for_the_same_reason(auditor: Visitor) -> None:
    cases = list(bad(random.Random(2), COUNT))
    assert len(cases) >= COUNT
    expected = [in_python(case) for case in cases]
    told = in_browser(auditor, cases)
    differing = [(e, t, c.data) for e, t, c in zip(expected, told, cases, strict=True) if e != t]
    assert differing == []
    assert {"Malformed", "NotProven", "UnknownKey", "WrongLog"} <= set(told)
    assert sum(not one.startswith("proven") for one in told) >= COUNT


def test_the_command_itself_says_what_its_checker_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "one.tlog-proof"
    for case in (*good(random.Random(3), 3), *list(bad(random.Random(4), 14))[-14:]):
        file.write_bytes(case.data)
        witnesses = [part for key in case.witnesses for part in ("--witness", key)]
        status = main(["proof", "check", str(file), "--key", case.log, *witnesses])
        assert (status == 0) == in_python(case).startswith("proven"), capsys.readouterr()
