"""Declared to be for production, an installation signs nothing under a certificate of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance.pki import TEST_ORGANIZATION
from tests.workers.commands.toy_model import installation
from tests.workers.toys import generator
from workers.command import main

WISH = ["generate", "grey", "--seed", "3", "--model", "toy"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("home")
    with installation(place, generator(place)[0].spec) as folder:
        yield folder


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines on standard error, but for the bar of progress."""
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("counterm")]


def test_every_output_under_the_test_certificate_says_so(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main([*WISH, "--out", "a.png", "--proof"]) == 0
    assert f"signed with a certificate of a test ({TEST_ORGANIZATION})" in capsys.readouterr().out
    assert TEST_ORGANIZATION.encode() in (home / "a.png").read_bytes()
    assert main(["verify", "a.png", "--model", "toy", "--search", "quick", "--json"]) == 0
    assert f"a certificate of a test, {TEST_ORGANIZATION}" in capsys.readouterr().out
    assert main(["keys", "list", "--purpose", "log"]) == 0
    vkey = capsys.readouterr().out.split("active: ")[1].strip()
    assert main(["proof", "check", "a.tlog-proof", "--key", vkey]) == 0
    assert "marked/1; test certificate" in capsys.readouterr().out


def test_production_is_refused_under_the_test_certificate(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["production"]) == 2
    (line,) = errors(capsys)
    assert "is of a test: get a certificate of a real authority" in line


@pytest.mark.parametrize(
    "command", [[*WISH, "--out", "b.png"], ["verify", "--model", "toy", "nothing.png"]]
)
def test_in_production_each_command_that_needs_certificates_is_one_error(
    home: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    capsys.readouterr()
    declared = home / "data" / "production"
    declared.touch()
    try:
        assert main(command) == 2
    finally:
        declared.unlink()
    (line,) = errors(capsys)
    assert "production forbids those of a test" in line
    assert not (home / "b.png").exists()
