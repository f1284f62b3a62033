"""Settings are read whole, and a misspelt one is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.settings import ELSEWHERE, BadSetting, Settings, read_settings

DATA = Path("data")
GOOD = {"COUNTERMARK_DATABASE": "postgresql+psycopg://host/name", "COUNTERMARK_ANONYMOUS": "no"}


def test_nothing_set_is_one_machine_with_everything_in_the_data_folder() -> None:
    found = read_settings({"PATH": "x"}, DATA)
    assert (found.data, found.blobs, found.broker) == (DATA, "data/blobs", None)
    assert found.database == "sqlite:///data/countermark.db"


def test_what_is_set_is_what_counts() -> None:
    found = read_settings(GOOD, DATA)
    assert (found.database, found.anonymous) == ("postgresql+psycopg://host/name", False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COUNTERMARK_DATABSE", "x"),
        ("COUNTERMARK_", "x"),
        ("COUNTERMARK_ANONYMOUS", "maybe"),
        ("COUNTERMARK_ANONYMOUS", ""),
        ("COUNTERMARK_PRIVATE_ADDRESSES", "1"),
        ("COUNTERMARK_FORGET", "0"),
        ("COUNTERMARK_FORGET", "876001"),
        ("COUNTERMARK_FETCH", "true"),
        ("COUNTERMARK_STEPS", "fast"),
        ("COUNTERMARK_DEVICE", "gpu"),
        ("COUNTERMARK_DEVICE", "cuda:"),
        ("COUNTERMARK_DEVICE", "meta"),
        ("COUNTERMARK_UPLOAD_BYTES", "0"),
        ("COUNTERMARK_UPLOAD_BYTES", "-1"),
        ("COUNTERMARK_UPLOAD_BYTES", "1e6"),
        ("COUNTERMARK_UPLOAD_BYTES", "9" * 30),
    ],
)
def test_one_thing_wrong_is_refused_by_name(name: str, value: str) -> None:
    assert read_settings(GOOD, DATA).data == DATA
    with pytest.raises(BadSetting, match=name):
        read_settings({**GOOD, name: value}, DATA)


def test_the_variables_of_the_tests_are_no_settings() -> None:
    assert read_settings({"COUNTERMARK_TEST_POSTGRES": "x"}, DATA) == read_settings({}, DATA)


def test_the_data_folder_may_name_another_database(tmp_path: Path) -> None:
    (tmp_path / ELSEWHERE).write_text("postgresql+psycopg://host/other\n")
    assert read_settings({}, tmp_path).database == "postgresql+psycopg://host/other"
    assert read_settings(GOOD, tmp_path).database == GOOD["COUNTERMARK_DATABASE"]


def test_there_are_few_settings_and_none_is_a_secret_by_default() -> None:
    assert len(Settings.__dataclass_fields__) <= 20
