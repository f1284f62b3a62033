"""`python -m tests.workers.toy_station ROLE`: a station whose generator is the toy."""

from __future__ import annotations

from tests.workers.toy_catalog import install
from workers import station

if __name__ == "__main__":
    install()
    station.main(reader="tests.workers.toy_reader")
