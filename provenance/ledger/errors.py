"""What can go wrong with a record, a note, a proof or the log itself.

Each error says what and where; none of them ever carries a secret.
"""

from provenance.errors import ProvenanceError


class LedgerError(ProvenanceError):
    """Base of everything this package raises on purpose."""


class Malformed(LedgerError):
    """Bytes that are not in their one canonical form."""


class NotProven(LedgerError):
    """A signature or a hash does not hold."""


class UnknownKey(NotProven):
    """No signature by a key the reader trusts."""


class WrongLog(NotProven):
    """A checkpoint of another log than the one asked for."""


class NotLogged(LedgerError):
    """An index or a size that the log, or its last checkpoint, does not reach."""


class Duplicate(LedgerError):
    """A picture id that the log already holds."""


class Refused(LedgerError):
    """The log would contradict what it signed before, so it signs nothing."""


class OtherSize(Refused):
    """The witness has last signed another size than the request starts from."""

    def __init__(self, size: int, asked: int) -> None:
        super().__init__(f"the witness is at size {size}, not at {asked}")
        self.size = size


class Broken(LedgerError):
    """The stored log contradicts itself."""
