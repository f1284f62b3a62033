"""A file is replaced whole or not at all."""

from pathlib import Path

import pytest

from provenance.files import read_file, write_file


def test_a_file_is_replaced_and_leaves_no_draft(tmp_path: Path) -> None:
    for data in (b"one", b"", b"three"):
        write_file(tmp_path / "a", data)
        assert (tmp_path / "a").read_bytes() == data
        assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"old")
    (tmp_path / "a.new").mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "no" / "a", b"new")


def test_no_more_is_read_than_shows_that_a_file_is_too_long(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"12345")
    assert read_file(tmp_path / "a", 5) == b"12345"
    assert read_file(tmp_path / "a", 3) == b"1234"
