"""Every import direction of the house, broken once: a contract in pyproject.toml must catch each.

lint-imports runs with the real pyproject.toml on five tiny packages in a temporary folder.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OFFLINE = (
    "errors",
    "encoding",
    "merkle",
    "note",
    "checkpoint",
    "record",
    "proof",
    "tiles",
    "witness",
    "archive",
    "policy",
    "fieldmap",
    "evidence",
    "__main__",
)
ALLOWED = {
    "migrations/env.py": "import alembic",
    "provenance/tables.py": "import sqlalchemy",
    "provenance/database.py": "",
    "provenance/watermark/keys.py": "",
    **{f"provenance/ledger/{name}.py": "import cryptography" for name in OFFLINE},
    "provenance/image.py": "import PIL",
    "provenance/manifest/official.py": "import c2pa",
    "provenance/note.py": "",
    "generators/sampling.py": "import torch",
    "workers/queue.py": "",
    "workers/draw.py": "import generators.sampling\nimport provenance.image",
    "api/app.py": "import provenance.note\nimport workers.queue",
}
"""Path -> source: a tree that keeps every contract and uses every import that house.md allows."""

FORBIDDEN = {
    ("generators", "provenance"),
    ("generators", "workers"),
    ("generators", "api"),
    ("provenance", "generators"),
    ("provenance", "workers"),
    ("provenance", "api"),
    ("workers", "api"),
    ("api", "generators"),
    ("api", "torch"),
    ("api", "PIL"),
    ("provenance", "c2pa"),
    ("generators", "c2pa"),
    ("workers", "c2pa"),
    ("api", "c2pa"),
}
"""Who may not import whom; written out, so that a contract that is lost or loosened is missed."""


def caught(folder: Path, sources: dict[str, str]) -> set[tuple[str, str]]:
    """The (importer, imported) pairs that lint-imports refuses in a tree of these sources."""
    shutil.copy(ROOT / "pyproject.toml", folder)
    for path, source in sources.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).parent.joinpath("__init__.py").touch()
        (folder / path).write_text(source)
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    lint = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    done = subprocess.run(lint, cwd=folder, capture_output=True, text=True, check=False)
    assert re.search(r"^Contracts: \d+ kept, \d+ broken\.$", done.stdout, re.MULTILINE), done
    refused = re.findall(r"^(\S+) is not allowed to import (\S+):$", done.stdout, re.MULTILINE)
    assert done.returncode == bool(refused), done
    return set(refused)


def test_contracts_keep_the_allowed_imports(tmp_path: Path) -> None:
    assert caught(tmp_path, ALLOWED) == set()


@pytest.mark.parametrize("form", ["import {}", "def f():\n    from {} import anything"])
def test_contracts_catch_every_direct_import_in_a_wrong_direction(
    tmp_path: Path, form: str
) -> None:
    trespasses = {f"{who}/to_{whom}.py": form.format(whom) for who, whom in FORBIDDEN}
    assert caught(tmp_path, ALLOWED | trespasses) == FORBIDDEN


@pytest.mark.parametrize("name", ["proof", "__main__"])
def test_contracts_keep_an_auditor_free_of_the_database(tmp_path: Path, name: str) -> None:
    trespass = {f"provenance/ledger/{name}.py": "import provenance.tables\nimport torch"}
    module = f"provenance.ledger.{name}"
    assert caught(tmp_path, ALLOWED | trespass) == {
        (module, "provenance.tables"),
        (module, "sqlalchemy"),
        (module, "torch"),
    }


def test_contracts_catch_pixels_that_reach_the_api_through_others(tmp_path: Path) -> None:
    trespass = {"api/app.py": "import workers.draw"}
    assert caught(tmp_path, ALLOWED | trespass) == {
        ("api", "generators"),
        ("api", "torch"),
        ("api", "PIL"),
    }
