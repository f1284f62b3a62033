import json
from html.parser import HTMLParser

import pytest

from provenance.robustness.attacks import find
from provenance.robustness.harness import Table, Threshold, measure
from provenance.robustness.report import VERSION, Report, as_json, as_page
from tests.provenance.robustness.pictures import drawing

NASTY = "<script>alert('x')</script>\"&"
ATTACKS = ("none", "jpeg-50", "jpeg-20", "rotate-3+jpeg-50", "scale-0.5")


def table(method: str, attacks: tuple[str, ...] = ATTACKS) -> Table:
    return measure(
        [drawing(seed) for seed in range(3)],
        [find(name) for name in attacks],
        lambda pixels: float(pixels.std()) * 20,
        method=method,
        thresholds=[Threshold("low <1", 1.0), Threshold("high", 4.0)],
        seed=1,
    )


REPORT = Report(f"Bench {NASTY}", (table(NASTY), table("other")), (f"left {NASTY}",))


class Reader(HTMLParser):
    """Collects tags, attributes and text; knows which tags are still open."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [name for name, _ in attrs if name in {"src", "href", "srcset", "onload"}]
        if tag not in {"meta", "wbr", "path"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def test_json_holds_every_number_and_its_version() -> None:
    body = json.loads(as_json(REPORT))
    assert body["version"] == VERSION
    first = body["tables"][0]
    assert [row["attack"] for row in first["rows"]] == list(ATTACKS)
    found = [row["rates"][0]["found"] for row in first["rows"]]
    assert found == [row.rates[0].found for row in REPORT.tables[0].rows]
    assert first["mean"] == [REPORT.tables[0].mean(0), REPORT.tables[0].mean(1)]
    assert body["left_out"] == [f"left {NASTY}"]


def test_the_page_is_whole_and_asks_for_nothing() -> None:
    page = as_page(REPORT)
    reader = read(page)
    assert reader.links == []
    assert "script" not in reader.tags
    assert "http" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_escapes_every_name() -> None:
    text = read(as_page(REPORT)).text
    assert text.count(NASTY) >= 4
    assert "low <1" in text


def test_the_page_names_every_attack_and_shows_its_rate() -> None:
    text = read(as_page(REPORT)).text
    assert all(name in text for name in ATTACKS)
    rate = REPORT.tables[0].rows[1].rates[0]
    assert f"{rate.share:.3f}{rate.low:.3f} to {rate.high:.3f}" in text


def test_a_family_at_two_strengths_gets_a_curve_and_others_none() -> None:
    page = as_page(REPORT)
    assert page.count("<figure>") == 1
    assert "<figcaption>jpeg</figcaption>" in page
    assert page.count('class="curve') == 4  # two methods at two thresholds
    flat = as_page(Report("r", (table("m", ("none", "flip", "jpeg-50")),)))
    assert "<svg" not in flat


def test_a_curve_goes_through_its_rates() -> None:
    page = as_page(Report("r", (table("m", ("jpeg-50", "jpeg-20")),)))
    low, high = (REPORT.tables[0].rows[k].rates[0].share for k in (2, 1))
    path = page.split('class="curve" d="M')[1].split('"')[0]
    ends = [float(point.split()[1]) for point in path.split("L")]
    assert ends == pytest.approx([8 + 168 * (1 - low), 8 + 168 * (1 - high)], abs=0.1)


def test_tables_of_other_attacks_are_refused() -> None:
    with pytest.raises(ValueError, match="same attacks"):
        Report("r", (table("a"), table("b", ("none",))))
    with pytest.raises(ValueError, match="at least one"):
        Report("r", ())
