"""What can be wrong with something that provenance is given.

Every error of this package is a ProvenanceError, and its text is one line that a person can act on.
"""


class ProvenanceError(Exception):
    """The base of every error that provenance raises on purpose."""


class Unreadable(ProvenanceError):
    """A file that cannot be read as a picture: which one (name), and why (reason)."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"{_printable(self.name)}: {self.reason}"


def _printable(name: str) -> str:
    """The name on one line: a file's name may hold line breaks and terminal commands."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
