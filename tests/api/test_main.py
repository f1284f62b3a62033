"""`python -m api` gives addresses at which it can be reached, unless it was told of another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api import __main__ as program


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", "http://127.0.0.1:8765"),
        ("0.0.0.0", "http://127.0.0.1:8765"),
        ("::", "http://127.0.0.1:8765"),
        ("::1", "http://[::1]:8765"),
        ("marks.example", "http://marks.example:8765"),
    ],
)
def test_answers_name_the_port_that_is_listened_on(host: str, reached: str) -> None:
    assert program.address(host, 8765) == reached


@pytest.mark.parametrize(
    ("given", "reached"),
    [({}, "http://127.0.0.1:8765"), ({"COUNTERMARK_PUBLIC_URL": "https://a.b/"}, "https://a.b")],
)
def test_a_public_url_that_was_set_is_kept(
    given: dict[str, str], reached: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[Any] = []
    monkeypatch.setenv("COUNTERMARK_DATA", str(tmp_path))
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(program, "create_app", told.append)
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    monkeypatch.setattr("api.logs.configure", lambda: None)
    monkeypatch.setattr("provenance.tracing.configure", lambda *_: None)
    program.main(["--port", "8765"])
    assert told[0].public_url == reached
