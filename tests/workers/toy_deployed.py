"""`python -m tests.workers.toy_deployed ROLE`: a worker with a broker, drawing with the toy."""

from __future__ import annotations

import sys

from workers import deployed

if __name__ == "__main__":
    if "keep" not in sys.argv:  # which needs no generator, and so no torch
        from tests.workers.toy_catalog import install

        install()
    deployed.main(reader="tests.workers.toy_reader")
