"""What can be wrong with a key, a matching, a colouring or a reading: one clear error each."""

from __future__ import annotations

from provenance.errors import ProvenanceError


class MarkError(ProvenanceError):
    """The base of everything this package raises about other people's input."""


class BadMatching(MarkError):
    """Not a perfect matching of a codebook, or not readable as one."""


class BadColouring(MarkError):
    """Units, sides and gamma do not describe a colouring."""


class CodecMismatch(MarkError):
    """Made for another codec than the one at hand."""


class BadReading(MarkError):
    """Tokens and margins of different shapes, or tokens outside the codebook."""


class UnusableKey(MarkError):
    """A key that is not active was asked to mark."""
