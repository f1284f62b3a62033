"""`python -m tests.workers.toy_station ROLE`: a station whose generator is the toy."""

from __future__ import annotations

import sys

from workers import station

if __name__ == "__main__":
    if "keep" not in sys.argv:  # which needs no generator, and so no torch
        from tests.workers.toy_catalog import install

        install()
    station.main(reader="tests.workers.toy_reader")
