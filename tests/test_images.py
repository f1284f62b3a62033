"""Dockerfile and docker-compose.yml say what there is, and give nothing away.

No image is built here: every statement is read and held against the tree and the programs.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml

from api import __main__ as door
from api import logs
from bench.serving.composed import FILE, OURS, module_commands, services
from provenance.settings import read_settings
from workers import command, deployed

ROOT = Path(__file__).parent.parent
SECRET = re.compile(r"PASS|SECRET|TOKEN|KEY")
IN_URL = re.compile(r"://[^:@/]+:([^@]+)@")
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::[?-]([^}]*))?\}")
ROOTS = ("", "root", "0", "0:0", "root:root")


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, lines joined, without comments."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in joined]


DOCKERFILE = instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def given(name: str) -> list[str]:
    """The arguments of every instruction of this name."""
    return [arguments for instruction, arguments in DOCKERFILE if instruction == name]


def copied() -> list[str]:
    """What the image takes from the tree."""
    return [source for one in given("COPY") for source in one.split()[:-1]]


def sent(path: str) -> bool:
    """Whether the path is part of what is sent to be built; the last pattern that fits decides."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if line and (fnmatch(path, pattern) or any(fnmatch(p, pattern) for p in path.split("/"))):
            kept = line.startswith("!")
    return kept


def test_everything_that_is_copied_is_there_and_sent() -> None:
    assert {"pyproject.toml", "provenance", "workers", "api"} <= set(copied())
    for source in copied():
        assert (ROOT / source).exists(), f"{source} is not there"
        assert sent(source), f"{source} is held back by .dockerignore"
    assert not sent("tests")
    assert not sent(".git")
    assert not sent("api/__pycache__")


def test_every_package_and_what_it_needs_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = [
        one.rstrip("*") for one in project["tool"]["setuptools"]["packages"]["find"]["include"]
    ]
    assert set(packages) <= set(copied())
    for needed in (project["project"]["readme"], *project["project"]["license-files"]):
        assert needed in copied()
    (wanted,) = re.findall(r'"\.\[([a-z0-9,]+)\]"', " ".join(given("RUN")))
    assert set(wanted.split(",")) <= set(project["project"]["optional-dependencies"])


def test_the_image_does_not_run_as_root_and_holds_no_secret() -> None:
    (user,) = given("USER")
    assert user not in ROOTS
    made = next(run for run in given("RUN") if "useradd" in run)
    assert user in shlex.split(made)
    assert "--uid 10001" in made
    assert DOCKERFILE.index(("USER", user)) < DOCKERFILE.index(("CMD", given("CMD")[0]))
    for name in ("ENV", "ARG"):
        assert not any(SECRET.search(one.partition("=")[0]) for one in given(name))


def test_the_image_runs_what_there_is() -> None:
    program, dash_m, module, *arguments = re.findall(r'"([^"]*)"', given("CMD")[0])
    assert (program, dash_m, module) == ("python", "-m", "workers.command")
    assert command.parser().parse_args(arguments).command == "serve"


def test_the_data_lies_in_a_volume_that_its_user_may_write() -> None:
    (environment,) = given("ENV")
    data = dict(one.split("=") for one in environment.split())["COUNTERMARK_DATA"]
    (volume,) = given("VOLUME")
    assert data.startswith(f"{volume}/")
    assert any(f"chown countermark {volume}" in one for one in given("RUN"))


@pytest.fixture(params=sorted(services()))
def service(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return str(request.param), services()[request.param]


def test_no_service_runs_as_root_or_may_become_it(service: tuple[str, dict[str, Any]]) -> None:
    name, how = service
    if name in OURS:
        assert how["build"] == "."  # whose USER is not root
        assert how["cap_drop"] == ["ALL"]
        assert how["read_only"] is True
        assert "user" not in how
    else:
        assert str(how["user"]) not in ROOTS
    assert "no-new-privileges:true" in how["security_opt"]
    assert not {"privileged", "cap_add", "pid", "network_mode", "devices"} & set(how)


def test_no_secret_has_a_default(service: tuple[str, dict[str, Any]]) -> None:
    _, how = service
    secrets = list(secrets_of(how.get("environment", {})))
    assert secrets
    for secret in secrets:
        assert REQUIRED.fullmatch(secret), secret


def secrets_of(environment: dict[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if SECRET.search(name):
            yield value
        yield from IN_URL.findall(value)


def test_secrets_are_found_where_they_are() -> None:
    found = list(secrets_of({"A_PASSWORD": "x", "URL": "amqp://me:${X:-secret}@host//"}))
    assert found == ["x", "${X:-secret}"]
    assert not any(REQUIRED.fullmatch(one) for one in found)


def test_volumes_dependencies_and_health_checks_are_there(
    service: tuple[str, dict[str, Any]],
) -> None:
    name, how = service
    declared = set(composed()["volumes"])
    for one in how.get("volumes", ()):
        volume, _, place = one.partition(":")
        assert volume in declared
        assert place.startswith("/")
    for other, condition in how.get("depends_on", {}).items():
        needed = services()[other]
        if condition["condition"] == "service_healthy":
            assert needed["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        else:
            assert (condition["condition"], needed["restart"]) == (
                "service_completed_successfully",
                "no",
            )
    if name in OURS:
        assert how["tmpfs"] == ["/tmp"]
        assert how["volumes"] == ["data:/data"]


def test_the_settings_of_every_service_can_be_read(service: tuple[str, dict[str, Any]]) -> None:
    name, how = service
    if name not in OURS:
        return
    environment = {
        key: VARIABLE.sub(lambda found: found[2] if ":-" in found[0] else "given", str(value))
        for key, value in how["environment"].items()
    }
    found = read_settings(environment, Path("/data/countermark"))
    assert found.database == "postgresql+psycopg://countermark:given@postgres/countermark"
    assert found.broker == "amqp://countermark:given@rabbitmq//"
    assert found.blobs.startswith("/data/")
    assert not found.fetch


def composed() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return read


def test_every_command_is_one_that_its_program_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = module_commands()
    assert set(services()) == {*OURS, "postgres", "rabbitmq"}
    module, *arguments = commands["migrate"]
    assert module == "workers.command"
    assert command.parser().parse_args(arguments).command == "init"
    for name in ("worker-gpu", "worker-cpu", "sequencer"):
        module, role = commands[name]
        assert module == "workers.deployed"
        assert role in deployed.ROLES
    served: dict[str, Any] = {}
    monkeypatch.setattr(door, "create_app", lambda settings: None)
    monkeypatch.setattr(logs, "configure", lambda: None)
    monkeypatch.setattr(uvicorn, "run", lambda app, **how: served.update(how))
    module, *arguments = commands["api"]
    assert module == "api"
    door.main(arguments)
    port = services()["api"]["ports"][0].rpartition(":")[2]
    assert (served["host"], str(served["port"])) == ("0.0.0.0", port)
    assert f"127.0.0.1:{port}/health" in " ".join(services()["api"]["healthcheck"]["test"])


@pytest.mark.parametrize("module", ["api", "workers.command", "workers.deployed"])
def test_every_program_starts(module: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert "usage:" in told.stdout


def test_nothing_is_published_to_the_world_by_default() -> None:
    for name, how in services().items():
        for port in how.get("ports", ()):
            assert name == "api"
            assert port.startswith("${API_PORT:-127.0.0.1:")
