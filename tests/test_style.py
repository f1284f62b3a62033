"""The rules of the house that no linter has, over every file that git tracks.

Each rule is a function from a file to its breaches, and each is shown to catch a bad example.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAX_FILE = 400  # lines
MAX_FUNCTION = 40  # lines of the body, without the docstring
LONG = ("generators/training/", "migrations/versions/")  # one long sequence reads better here

VAGUE = re.compile(
    r"(?i)(^|_)(utils?|helpers?|managers?|common|misc|base|core|handlers?|processors?|services?"
    r"|factory|wrapper)$"
)
CLAIM = re.compile(r"assert|raises\(|warns\(|check(_\w+)?\(|fail\(|expect\(")
CALLED = re.compile(
    r"assert_(not_)?(called|awaited|any_call|has_calls)|call_count|call_args|\.calls\b"
)
HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Written so that this file does not contain the words it looks for.
UNFINISHED = re.compile(r"(?i:\bin[ ]production\b|\bplace[h]older)|\bTO[D]O\b|\bFIX[M]E\b")
ELSEWHERE = re.compile(r"(?<![\w.:/-])/(?:work|tmp|home|root|Users)/\w")


def vague_names(path: str, text: str) -> Iterator[str]:
    """Names that say nothing, of the module, its folders and its classes."""
    for part in Path(path).with_suffix("").parts:
        if VAGUE.search(part):
            yield f"module {part}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and VAGUE.search(HUMP.sub("_", node.name)):
            yield f"class {node.name}"


def hollow_tests(path: str, text: str) -> Iterator[str]:
    """Tests that claim nothing, or only that a fake was called."""
    for test in functions(text):
        if not (path.startswith("tests/") and test.name.startswith("test_")):
            continue
        lines = ast.unparse(ast.Module(test.body, [])).split("\n")
        claims = [line for line in lines if CLAIM.search(line) or CALLED.search(line)]
        if not claims:
            yield f"{test.name}: claims nothing"
        elif all(CALLED.search(line) for line in claims):
            yield f"{test.name}: only claims that a fake was called"


def long_files(path: str, text: str) -> Iterator[str]:
    if (lines := len(text.splitlines())) > MAX_FILE:
        yield f"{lines} lines, at most {MAX_FILE}"


def long_functions(path: str, text: str) -> Iterator[str]:
    if path.startswith(LONG):
        return
    for function in functions(text):
        documented = ast.get_docstring(function, clean=False) is not None
        body = function.body[documented:]
        lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
        if lines > MAX_FUNCTION:
            yield f"{function.name}: {lines} lines, at most {MAX_FUNCTION}"


def unfinished_work(path: str, text: str) -> Iterator[str]:
    """Words that stand where work should be."""
    yield from (f"says {found.group()!r}" for found in UNFINISHED.finditer(text))


def foreign_paths(path: str, text: str) -> Iterator[str]:
    """Absolute paths of one person's machine."""
    yield from (f"names {found.group()!r}…" for found in ELSEWHERE.finditer(text))


PYTHON_RULES = [vague_names, hollow_tests, long_files, long_functions]
TEXT_RULES = [unfinished_work, foreign_paths]


def functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def tracked_texts() -> dict[str, str]:
    """Path -> text of every tracked file that is text and is there."""
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    contents = {
        path: (ROOT / path).read_bytes() for path in listed.split("\0") if (ROOT / path).is_file()
    }
    return {
        path: data.decode() for path, data in contents.items() if b"\0" not in data[: 64 * 1024]
    }


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return tracked_texts()


@pytest.mark.parametrize("rule", PYTHON_RULES + TEXT_RULES)
def test_tree_keeps_the_rule(
    rule: Callable[[str, str], Iterator[str]], texts: dict[str, str]
) -> None:
    assert len(texts) > 1, "nothing is tracked: the rules were not tried"
    breaches = [
        f"{path}: {breach}"
        for path, text in texts.items()
        if rule in TEXT_RULES or path.endswith(".py")
        for breach in rule(path, text)
    ]
    assert not breaches, "\n" + "\n".join(breaches)


@pytest.mark.parametrize(
    "path", ["api/utils.py", "api/image_helpers.py", "api/Common.py", "core/note.py"]
)
def test_vague_names_catches_a_module_or_folder(path: str) -> None:
    assert not list(vague_names("api/note.py", ""))
    assert list(vague_names(path, ""))


LINE = "    x = 1\n"


@pytest.mark.parametrize(
    ("rule", "path", "good", "bad"),
    [
        (vague_names, "api/x.py", "class Note: ...", "class ImageManager: ..."),
        (vague_names, "api/x.py", "class Codebase: ...", "class BlobServices: ..."),
        (hollow_tests, "tests/t.py", "def test_a():\n assert f()", "def test_a():\n f()"),
        (
            hollow_tests,
            "tests/t.py",
            "def test_a():\n with raises(E): f()",
            "async def test_a():\n f.assert_called_once()\n g.assert_any_call(1)",
        ),
        (
            hollow_tests,
            "tests/t.py",
            "class TestA:\n def test_a(self):\n  check_log(s)",
            "class TestA:\n def test_a(self):\n  log(s)",
        ),
        (long_files, "api/x.py", "\n" * MAX_FILE, "\n" * (MAX_FILE + 1)),
        (
            long_functions,
            "api/x.py",
            'def f():\n    """A\n    B"""\n' + LINE * MAX_FUNCTION,
            "def f():\n" + LINE * (MAX_FUNCTION + 1),
        ),
        (
            long_functions,
            "api/x.py",
            "class A:\n" + LINE * (MAX_FUNCTION + 1),
            "class A:\n  async def f(self):\n" + LINE * (MAX_FUNCTION + 1),
        ),
        (unfinished_work, "README.md", "autodoc, method", "later, TO" + "DO"),
        (unfinished_work, "README.md", "all of it was made", "# FIX" + "ME"),
        (unfinished_work, "x.py", "in productions of plays", "In " + "production this would"),
        (unfinished_work, "x.py", "a place to hold", "Place" + "holders are returned"),
        (foreign_paths, "x.py", "https://a.org/home/x ../tmp/y", 'open("/' + 'tmp/x")'),
        (foreign_paths, "x.md", "a/root/b, /var/lib", "(see /" + "root/notes)"),
        (foreign_paths, "x.md", "~/pictures", "cd /" + "home/ada"),
    ],
)
def test_rule_lets_the_good_pass_and_catches_the_bad(
    rule: Callable[[str, str], Iterator[str]], path: str, good: str, bad: str
) -> None:
    assert not list(rule(path, good))
    assert list(rule(path, bad))


def test_long_functions_allows_training_recipes() -> None:
    recipe = "def f():\n" + LINE * (MAX_FUNCTION + 1)
    assert not list(long_functions("generators/training/x.py", recipe))
