import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workers.folder import KEYS, TENANT, NoFolder, data_folder, load_keys, make

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_folder_and_its_keys_are_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    made = make(folder, now=NOW)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / KEYS).stat().st_mode) == 0o600
    assert load_keys(folder) == made
    assert made.active(TENANT).created == NOW


def test_keys_are_never_made_twice(tmp_path: Path) -> None:
    make(tmp_path, now=NOW)
    before = (tmp_path / KEYS).read_bytes()
    with pytest.raises(NoFolder, match="holds keys already"):
        make(tmp_path, now=NOW)
    assert (tmp_path / KEYS).read_bytes() == before


def test_two_folders_have_different_secrets(tmp_path: Path) -> None:
    first, second = (make(tmp_path / name, now=NOW).active(TENANT) for name in "ab")
    assert first.secret != second.secret


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoFolder, match="countermark init"):
        load_keys(tmp_path)


def test_the_environment_names_the_folder(tmp_path: Path) -> None:
    assert data_folder({"COUNTERMARK_DATA": str(tmp_path)}) == tmp_path
    assert data_folder({}).name == "countermark"
