"""docs/reference.md is what the OpenAPI document says."""

from __future__ import annotations

from pathlib import Path

from api.admission import SCOPES
from api.reference import render
from tests.api.installations import Installed

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"


def test_the_reference_is_written_from_the_document_and_up_to_date(here: Installed) -> None:
    document = here.client.get("/openapi.json").json()
    stale = "write it anew: curl -s ADDRESS/openapi.json | python -m api.reference"
    assert render(document) == REFERENCE.read_text(encoding="utf-8"), stale


def test_every_route_and_document_is_in_the_reference(here: Installed) -> None:
    document = here.client.get("/openapi.json").json()
    page = render(document)
    for method, path in SCOPES:
        assert f"### `{method} {path.replace(':path', '')}`" in page
    for name in document["components"]["schemas"]:
        assert f"\n### {name}\n" in page
        assert page.count(f"(#{name.lower()})") >= (name != "Problem"), f"{name} is linked"
