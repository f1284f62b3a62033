"""Prints docs/verdict.md: `python -m provenance.verdict > docs/verdict.md`."""

import sys

from provenance.verdict.page import render

sys.stdout.write(render())
