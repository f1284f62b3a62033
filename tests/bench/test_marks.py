from pathlib import Path

import pytest

from bench.marks.__main__ import TABLES, Bench, options, run
from tests.workers.toys import generator

PAGE = Path(__file__).parents[2] / "docs/watermark.md"


def bench(folder: Path, *words: str) -> Bench:
    toy, marker = generator(folder)
    chosen = options().parse_args([*words, "--cache", str(folder)])
    return Bench(chosen, toy, marker, lambda: marker)


def test_a_table_is_printed_and_put_into_the_page_and_the_next_one_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- stealing -->\n<!-- /stealing -->\nb\n")
    few = ("--drawings", "9", "--most", "20", "--docs", str(page))
    run(bench(tmp_path, "stealing", *few))
    said = capsys.readouterr().out.strip()
    assert "| lists | marked pictures |" in said
    assert page.read_text() == f"a\n<!-- stealing -->\n{said}\n<!-- /stealing -->\nb\n"


def test_the_page_has_a_place_for_every_table() -> None:
    text = PAGE.read_text()
    for name in TABLES:
        assert text.count(f"<!-- {name} -->") == text.count(f"<!-- /{name} -->") == 1


def test_an_unknown_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench(tmp_path, "speed")
    assert "invalid choice: 'speed'" in capsys.readouterr().err
