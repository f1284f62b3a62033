"""`python -m tests.workers.toy_reader`: what reads uploads, with the toy's codec.

An upload that ends with one of these words makes a decoder that is broken into do something.
"""

from __future__ import annotations

import ctypes
import os
import socket
from pathlib import Path
from typing import Any

from tests.workers.toy_catalog import install
from workers import reader
from workers.sandbox import Answer

DIE, HANG, EAT, CALL, PEEK = b"die", b"hang", b"eat", b"call", b"peek"


class Broken(reader.Reader):
    """A reader whose decoder does what an upload says."""

    def answer(self, question: dict[str, Any], data: bytes) -> Answer:
        if data.endswith(DIE):
            ctypes.string_at(0)
        if data.endswith(HANG):
            while True:
                pass
        if data.endswith(EAT):
            return self._told(lambda: len(bytearray(4 << 30)))
        if data.endswith(CALL):
            return self._told(lambda: socket.create_connection(("127.0.0.1", 1), timeout=1))
        if data.endswith(PEEK):
            keys = Path(os.environ["COUNTERMARK_DATA"]) / "keys.json"
            return self._told(lambda: keys.read_bytes())
        return super().answer(question, data)

    def _told(self, act: Any) -> Answer:
        """What came of it, as the reason why the file could not be read."""
        try:
            return {"unreadable": f"did it: {act()!r:.40}"}, b""
        except (OSError, MemoryError) as e:
            return {"unreadable": f"could not: {type(e).__name__}"}, b""


if __name__ == "__main__":
    install()
    reader.CPU_SECONDS = 2
    reader.Reader = Broken  # type: ignore[misc]
    reader.main()
