"""Log lines: one JSON object each, with the ids of request and job."""

from __future__ import annotations

import io
import json
import logging

import pytest

from api.logs import JsonLines
from tests.api.installations import Installed


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """What was logged, as it would be written."""
    return [json.loads(JsonLines().format(one)) for one in caplog.records]


def test_a_request_is_a_line_with_its_ids_and_without_its_secrets(
    here: Installed, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="countermark")
    key = here.key()
    header = key | {"X-Request-Id": "mine"}
    job = here.client.post("/v1/generations", json={"prompt": "a secret"}, headers=header).json()
    [line] = [one for one in lines(caplog) if one.get("request_id") == "mine"]
    assert (line["event"], line["route"], line["status"]) == ("request", "/v1/generations", 202)
    assert line["job_id"] == job["id"]
    assert line["caller"] == key["Authorization"][len("Bearer cm_") :][:12]
    assert "a secret" not in caplog.text
    assert key["Authorization"][-20:] not in caplog.text


def test_an_error_is_one_line_whatever_it_says() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("countermark.test")
    log.addHandler(handler)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("failed:\n%s", "x")
    finally:
        log.removeHandler(handler)
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "failed:\nx"
    assert "ValueError: two" in json.loads(line)["error"]
