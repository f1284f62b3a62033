"""The README tells the truth about the tree and the commands.

The annotated tree is a fenced block whose first line is `countermark/`; each further line draws a
branch and names one path, then two blanks or more and what it is for:

    countermark/
    ├── provenance/        evidence about images
    │   ├── image.py       pictures from untrusted bytes
    │   └── watermark/     marks and their p-values
    └── Makefile           the commands
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
BRANCH = re.compile(r"(?P<trunk>(?:│   |    )*)[├└]── (?P<name>\S+)(?:\s{2,}(?P<purpose>\S.*))?")
MAKE = re.compile(r"(?<![\w-])make ([a-z][\w-]*)")
TARGET = re.compile(r"^([a-z][\w-]*)\s*:(?!=)", re.MULTILINE)


class Misdrawn(ValueError):
    """A line of the tree that is not a branch with a purpose."""


def parse_tree(readme: str) -> list[str]:
    """The paths of the annotated tree, folders with a slash at the end; raises Misdrawn."""
    blocks = [found[1].splitlines() for found in FENCE.finditer(readme)]
    trees = [lines[1:] for lines in blocks if lines[:1] == ["countermark/"]]
    if len(trees) != 1:
        raise Misdrawn(f"{len(trees)} fenced blocks begin with the line countermark/, not one")
    paths: list[str] = []
    folders: list[str] = []
    for line in trees[0]:
        branch = BRANCH.fullmatch(line.rstrip())
        depth = len(branch["trunk"]) // 4 if branch else 0
        if not branch or not branch["purpose"] or depth > len(folders):
            raise Misdrawn(f"not a branch, a path, two blanks and a purpose: {line!r}")
        folders = folders[:depth]
        paths.append("".join(folders) + branch["name"])
        if branch["name"].endswith("/"):
            folders.append(branch["name"])
    return paths


def tree_faults(paths: list[str], tracked: list[str]) -> Iterator[str]:
    """What the drawn tree says that git does not, and the top folders that it leaves out."""
    folders = {
        "/".join(path.split("/")[:depth]) + "/"
        for path in tracked
        for depth in range(1, path.count("/") + 1)
    }
    yield from (f"{path} is not tracked" for path in paths if path not in {*tracked, *folders})
    top = {folder for folder in folders if folder.count("/") == 1}
    yield from (f"{folder} is not in the tree" for folder in sorted(top - set(paths)))
    yield from (f"{path} is drawn twice" for path in sorted(set(paths)) if paths.count(path) > 1)


def commands(readme: str) -> set[str]:
    """The targets X of every `make X`, in fenced blocks and in code spans."""
    spans = [found[1] for found in FENCE.finditer(readme)]
    spans += re.findall(r"`([^`\n]+)`", FENCE.sub("", readme))
    return {target for span in spans for target in MAKE.findall(span)}


def targets(makefile: str) -> set[str]:
    return set(TARGET.findall(makefile))


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_draws_the_tree_that_git_tracks(readme: str) -> None:
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert list(tree_faults(parse_tree(readme), listed.rstrip("\0").split("\0"))) == []


def test_readme_names_only_commands_that_exist(readme: str) -> None:
    named = commands(readme)
    assert {"demo", "test"} <= named
    assert named <= targets((ROOT / "Makefile").read_text())


TREE = """
```
countermark/
├── provenance/      evidence
│   ├── image.py     pictures
│   └── watermark/   marks
│       └── keys.py  keys
└── Makefile         commands
```
"""
TRACKED = ["Makefile", "provenance/image.py", "provenance/watermark/keys.py"]


def test_parse_tree_reads_every_path() -> None:
    assert parse_tree(TREE) == [
        "provenance/",
        "provenance/image.py",
        "provenance/watermark/",
        "provenance/watermark/keys.py",
        "Makefile",
    ]
    assert list(tree_faults(parse_tree(TREE), TRACKED)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("countermark/\n", ""),
        ("     pictures", ""),
        ("     pictures", " pictures"),
        ("│   └── watermark/", "│   │   └── watermark/"),
        ("└── Makefile", "Makefile"),
        ("└── Makefile         commands", "…"),
    ],
)
def test_parse_tree_refuses_one_thing_wrong(old: str, new: str) -> None:
    with pytest.raises(Misdrawn):
        parse_tree(TREE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("image.py", "picture.py", "provenance/picture.py is not tracked"),
        ("provenance/ ", "provenence/ ", "provenance/ is not in the tree"),
        ("Makefile ", "Makefile/", "Makefile/ is not tracked"),
        ("keys.py", "image.py", "provenance/watermark/image.py is not tracked"),
    ],
)
def test_tree_faults_names_what_git_does_not_track(old: str, new: str, fault: str) -> None:
    assert fault in list(tree_faults(parse_tree(TREE.replace(old, new, 1)), TRACKED))


def test_tree_faults_names_a_folder_left_out_and_a_path_drawn_twice() -> None:
    paths = parse_tree(TREE)
    assert list(tree_faults(paths, [*TRACKED, ".ci/run"])) == [".ci/ is not in the tree"]
    assert list(tree_faults([*paths, "Makefile"], TRACKED)) == ["Makefile is drawn twice"]


def test_commands_are_found_in_code_and_not_in_prose() -> None:
    readme = "To make sense, `make test`, then:\n```sh\nmake demo && cmake no\n```\nor make tea."
    assert commands(readme) == {"test", "demo"}


def test_targets_are_rules_and_not_variables_or_phony_names() -> None:
    makefile = "BIN := x\nx:=1\n.PHONY: a b\na: .venv\n\tmake c\nb-c:\n"
    assert targets(makefile) == {"a", "b-c"}
