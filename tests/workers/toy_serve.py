"""`python -m tests.workers.toy_serve --port N`: the service of one machine, with the toy."""

from __future__ import annotations

import argparse
import logging
import os

from workers.serve import serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    logging.basicConfig(level=logging.INFO)
    serve("127.0.0.1", parser.parse_args().port, os.environ, station="tests.workers.toy_station")
