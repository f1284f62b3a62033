"""What can be wrong with a key file, a matching, a colouring or a reading: one clear error each."""

from __future__ import annotations

from provenance.errors import ProvenanceError


class MarkError(ProvenanceError):
    """The base of everything this package raises about other people's input."""


class UnknownKey(MarkError):
    """No key of this id, or no active key of this tenant."""


class BadKeyring(MarkError):
    """The key file is missing, corrupt, holds duplicates, or exists where it must not."""


class ExposedKeyring(BadKeyring):
    """Others than the owner may read the key file, so its secrets are no secrets."""


class BadMatching(MarkError):
    """Not a perfect matching of a codebook, or not readable as one."""


class BadColouring(MarkError):
    """Units, sides and gamma do not describe a colouring."""


class CodecMismatch(MarkError):
    """Made for another codec than the one at hand."""


class BadReading(MarkError):
    """Tokens and margins of different shapes, or tokens outside the codebook."""


class UnusableKey(MarkError):
    """A retired or revoked key was asked to mark."""
