"""`python -m tests.workers.toy_deployed ROLE`: a worker with a broker, drawing with the toy."""

from __future__ import annotations

from tests.workers.toy_catalog import install
from workers import deployed

if __name__ == "__main__":
    install()
    deployed.main(reader="tests.workers.toy_reader")
