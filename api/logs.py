"""Log lines for machines: one JSON object a line, with the ids of request and job."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

FIELDS = ("request_id", "job_id", "method", "route", "status", "ms", "caller", "traceparent")


class JsonLines(logging.Formatter):
    """One line a record: time, level, event, the fields that are there, the traceback if one is."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        held = {name: getattr(record, name, None) for name in FIELDS}
        line |= {name: value for name, value in held.items() if value is not None}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure() -> None:
    """Send what is logged to standard error; called once, by the process's entry point."""
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(JsonLines())
    root = logging.getLogger("countermark")
    root.addHandler(stream)
    root.setLevel(logging.INFO)
    root.propagate = False
