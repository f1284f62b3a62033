"""`bench.provenance` fills the pages from one command, with no step by hand."""

import sys
from pathlib import Path

import pytest

from bench.marks.page import NoMarkers
from bench.provenance import PAGES, main, measure

ROOT = Path(__file__).parents[2]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """The pages as they are in the repository, to be written over."""
    for name in set(PAGES.values()):
        (tmp_path / name).write_bytes((ROOT / "docs" / name).read_bytes())
    return tmp_path


def test_every_table_has_its_place_in_a_page() -> None:
    for name, page in PAGES.items():
        assert f"<!-- {name} -->" in (ROOT / "docs" / page).read_text(encoding="utf-8")


def test_the_log_is_measured_at_the_sizes_asked_for_and_put_into_its_page(docs: Path) -> None:
    before = (docs / "ledger.md").read_text(encoding="utf-8")
    main(["--only", "ledger", "--sizes", "40", "6e3", "--docs", str(docs)])
    after = (docs / "ledger.md").read_text(encoding="utf-8")
    rows = [line for line in after.splitlines() if line.startswith("| sqlite |")]
    assert [row.split(" | ")[1] for row in rows] == ["40", "6,000"]
    assert all(len(row.split(" | ")) == 9 for row in rows)
    start, end = "<!-- ledger -->", "<!-- /ledger -->"
    assert (after.partition(start)[0], after.partition(end)[2]) == (
        before.partition(start)[0],
        before.partition(end)[2],
    )


def test_a_run_that_fails_leaves_the_page_as_it_was(docs: Path) -> None:
    def fail() -> None:
        sys.stdout.write("| half a table |")
        raise RuntimeError("stopped")

    page = docs / "manifest.md"
    before = page.read_bytes()
    with pytest.raises(RuntimeError, match="stopped"):
        measure(fail, page, "manifest")
    assert page.read_bytes() == before


def test_a_page_without_markers_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "ledger.md").write_text("no place")
    with pytest.raises(NoMarkers):
        measure(lambda: pytest.fail("was measured"), tmp_path / "ledger.md", "ledger")
