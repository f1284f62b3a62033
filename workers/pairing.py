"""Pair the codes of a generator's codec for index swap: `python -m workers.pairing --help`.

The pairs depend on the codebook alone and are written beside the weights; verifying needs the very
file that marked, so it is made once, after the codec's digest stands in the catalog.
"""

from __future__ import annotations

import argparse
import sys

from generators.catalog import GENERATORS, WEIGHTS, find, load_codec
from provenance.watermark.matching import Metric, match_codes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=next(iter(GENERATORS)), metavar="NAME")
    name = parser.parse_args().model
    spec, codes = find(name), load_codec(name).codes
    matching = match_codes(codes.vectors.numpy(force=True), Metric(codes.metric))
    path = WEIGHTS / spec.pairs
    matching.save(path, spec.codec.digest)
    sys.stdout.write(f"{path}: {codes.size // 2} pairs, cosine at least {matching.worst:.3f}\n")


if __name__ == "__main__":
    main()
