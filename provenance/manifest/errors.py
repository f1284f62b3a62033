"""What can be wrong with a claim, a file, a signer or a trust list: one clear error each.

Reading raises none of these for a hostile file: what is wrong with a file is a finding.
"""

from __future__ import annotations

from provenance.errors import ProvenanceError


class ManifestError(ProvenanceError):
    """The base of everything this package raises about other people's input."""


class BadClaim(ManifestError):
    """A claim that has no form in a manifest."""


class NotEmbeddable(ManifestError):
    """Not a whole PNG, JPEG or WebP file, so nothing can be put into it."""


class AlreadySigned(ManifestError):
    """The file holds a manifest already; an edit names it as its parent instead."""


class TooLarge(ManifestError):
    """A manifest over the size limit."""


class SignerFailed(ManifestError):
    """The signer raised, or its signature does not hold under its own certificate."""


class BadAnchors(ManifestError):
    """A trust list that is not PEM certificates of authorities."""


class Unsafe(ManifestError):
    """A setting of the C2PA library does not do what it says, so nothing is read with it."""


class WrongProcess(ManifestError):
    """A trust list opened in one process was used in another; open it after the fork."""


class BadLabel(ManifestError):
    """A label that cannot be written: a text that is not plain, or a letter the font lacks."""


class Malformed(ManifestError):
    """Bytes that are not in the form the specification gives."""


class Unsupported(ManifestError):
    """A form that the specification allows and the second reader does not read."""
