"""Every page of docs/ is in its index, and every link between pages leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`[^`\n]*`")  # a pattern in the reference may look like a link
PAGES = sorted(DOCS.rglob("*.md"))


def targets(page: Path) -> set[Path]:
    """The files that a page links to."""
    text = CODE.sub("", page.read_text("utf-8"))
    return {(page.parent / one).resolve() for one in LINK.findall(text)}


def test_the_index_names_every_page() -> None:
    index = DOCS / "README.md"
    assert {page for page in PAGES if page != index} <= targets(index)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_no_link_leads_nowhere(page: Path) -> None:
    assert [target for target in targets(page) if not target.exists()] == []


def test_every_picture_of_the_pages_is_shown() -> None:
    shown = set().union(*(targets(page) for page in PAGES))
    assert set((DOCS / "pages").glob("*.png")) <= shown
