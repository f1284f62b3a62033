from pathlib import Path

from bench.marks.payload import (
    ATTACKS,
    Copy,
    Task,
    Upload,
    drawn,
    large_photographs,
    measure,
    rows,
    table,
)
from tests.workers.toys import generator
from tests.workers.uploads import flat, photograph, toy


def test_a_number_is_read_from_the_copies_of_a_photograph(tmp_path: Path) -> None:
    marker = toy(tmp_path)[1]
    path = tmp_path / "photo.png"
    path.write_bytes(photograph(200, 168))
    upload = measure(marker, Task(path, 77))
    assert upload.number == 77
    assert [copy.attack for copy in upload.copies] == list(ATTACKS)
    assert [copy.number for copy in upload.copies[:2]] == [77, 77]
    assert {copy.number for copy in upload.copies} <= {77, None}


def test_what_carries_no_mark_or_no_number_is_counted_apart(tmp_path: Path) -> None:
    marker = toy(tmp_path)[1]
    for name, data in (("flat.png", flat()), ("small.png", photograph(72, 72))):
        (tmp_path / name).write_bytes(data)
    paths = [tmp_path / "flat.png", tmp_path / "small.png"]
    made = table(paths, drawings="Of none.", opened=lambda: marker, processes=1)
    assert "0 carry a number of 40 bits, 1 a mark without room for one, 1 no mark" in made.notes[0]
    assert [row[1] for row in made.rows] == ["0 of 0"] * len(ATTACKS)


def test_a_wrong_number_is_counted_wherever_it_is_read() -> None:
    def upload(number: int | None, read: int | None) -> Upload:
        copies = tuple(Copy(attack, found=True, number=read, units=9) for attack in ATTACKS)
        return Upload(number, 36.0, copies)

    uploads = [upload(1, 1), upload(2, None), upload(3, 4), upload(None, 5), upload(None, None)]
    for row in rows([*uploads, Upload(None, 0.0, ())]):
        assert row[1:] == ("3 of 3", "1", "1", "2", "9")


def test_only_large_photographs_of_split_calib_are_marked(tmp_path: Path) -> None:
    index = tmp_path / "index.csv"
    lines = ("a,calib,512,512", "b,train,900,900", "c,calib,511,900", "d,calib,900,700")
    index.write_text("file,split,w,h\n" + "\n".join(lines) + "\ne,calib,999,999\n")
    assert [path.name for path in large_photographs(tmp_path, index, 2)] == ["a", "d"]


def test_drawings_are_asked_for_a_number(tmp_path: Path) -> None:
    said = drawn(*generator(tmp_path), 2)
    assert said.startswith("Of 2 drawings, each biased by 2, 4, 7 nats, ")
    assert "show a number of 32 bits" in said
