"""`countermark concepts`: what is banned is refused from the next picture on, and recorded."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance.database import connect, snapshot
from provenance.ledger.log import log_size, read_record
from provenance.ledger.policy import parse_policy
from provenance.ledger.record import Picture
from provenance.settings import sqlite_url
from tests.workers.commands.toy_model import installation
from tests.workers.toys import generator
from workers.command import main


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with installation(tmp_path, generator(tmp_path)[0].spec) as folder:
        yield folder


def generate(prompt: str, *more: str) -> int:
    return main(["generate", prompt, "--out", "a.png", "--seed", "3", "--model", "toy", *more])


def records(home: Path) -> list[Picture]:
    engine = connect(sqlite_url(home / "data"))
    with snapshot(engine) as session:
        found = [read_record(session, n) for n in range(log_size(session))]
    engine.dispose()
    return [one for one in found if isinstance(one, Picture)]


def test_what_is_banned_is_not_drawn_until_it_is_lifted(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ban = ["concepts", "ban", "gun", "--phrase", "a gun", "--action", "refuse"]
    assert main(ban) == 0
    capsys.readouterr()
    assert generate("a g\N{LATIN SMALL LETTER U WITH DIAERESIS}n") == 2
    assert "not drawn, by policy: gun: refused" in capsys.readouterr().err
    assert not (home / "a.png").exists()
    assert records(home) == []
    assert generate("a cat on a mat") == 0
    (drawn,) = records(home)
    assert drawn.erased == ("gun",)
    assert parse_policy(drawn.policy).concepts is not None
    assert main(["concepts", "lift", "gun"]) == 0
    assert generate("a gun") == 0
    assert records(home)[1].erased == ()
    assert parse_policy(records(home)[1].policy).concepts is None


def test_what_was_steered_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["concepts", "ban", "gun", "--phrase", "a gun"]) == 0
    assert generate("a gun") == 0
    assert "policy: gun: steered, for the prompt names it" in capsys.readouterr().err


def test_the_policy_is_shown_loaded_and_told_by_versions(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["concepts", "show"]) == 0
    assert capsys.readouterr().out == "nothing is kept out\n"
    assert main(["concepts", "ban", "gun", "--phrase", "a gun", "--label", "x"]) == 2
    assert "checker and labels belong together" in capsys.readouterr().err
    main(["concepts", "ban", "skull", "--checker", "icons-128", "--label", "skull"])
    main(["concepts", "show", "--json"])
    shown = capsys.readouterr().out
    (home / "policy.json").write_text(shown)
    assert json.loads(shown)["concepts"][0]["labels"] == ["skull"]
    assert main(["concepts", "load", "policy.json"]) == 0
    capsys.readouterr()
    main(["concepts", "history"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["2", "1"]
    assert all("keeps out skull" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ban", "x", "--phrase", "the"], "says nothing"),
        (["ban", "x", "--checker", "nobody", "--label", "a"], "asks for the checker 'nobody'"),
        (["ban", "x", "--checker", "icons-128", "--label", "nothing"], "knows no label 'nothing'"),
        (["ban", "x", "--delta", "ab" * 32], "is not in"),
        (["lift", "x"], "no concept is called 'x'"),
        (["load", "data/policy.json"], "a policy is"),
    ],
)
def test_what_cannot_be_applied_is_no_version(
    home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["concepts", *arguments]) == 2
    assert says in capsys.readouterr().err
    main(["concepts", "history"])
    assert capsys.readouterr().out == ""


def test_a_prompt_can_be_tried(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["concepts", "ban", "gun", "--phrase", "a gun", "--action", "refuse"])
    assert main(["concepts", "check", "a revolver, on a table", "--model", "toy"]) == 1
    assert "means nearly that" in capsys.readouterr().out
    assert main(["concepts", "check", "a cat, on a table", "--model", "toy"]) == 0
    assert capsys.readouterr().out == "nothing speaks against it\n"
