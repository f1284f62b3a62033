"""A file from an address that a caller named, as far as that is safe and short.

What may be asked, and where, `provenance.outbound` says: HTTPS to public addresses, no redirects.
The bytes are not looked at. What the caller is told names the kind of failure and nothing of what
is at the address, so that nobody learns through this service what its network looks like.
"""

from __future__ import annotations

from importlib.metadata import version

from provenance.jobs import Fault
from provenance.outbound import Outbound, Reach, Refused, TooLong, Unanswered

SECONDS = 30.0  # for a whole file
HEADERS = {
    "Accept": "image/png, image/jpeg, image/webp",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": f"countermark/{version('countermark')}",
}


class NotFetched(RuntimeError):
    """There is no file: with the fault that says why."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


def public() -> Outbound:
    """What fetches from the internet alone."""
    return Outbound(Reach.PUBLIC, SECONDS)


def fetch(outbound: Outbound, url: str, *, limit: int) -> bytes:
    """The file at an address, at most `limit` bytes; raises NotFetched."""
    try:
        with outbound.send("GET", url, headers=HEADERS) as answer:
            if answer.status != 200:
                detail = f"the address answers {answer.status}, not 200; no redirect is followed"
                raise NotFetched(Fault.FETCH_FAILED, detail)
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise NotFetched(Fault.FETCH_FAILED, "the answer is compressed, unasked")
            return answer.read(limit)
    except Refused as e:
        raise NotFetched(Fault.FETCH_REFUSED, "nothing is fetched from this address") from e
    except TooLong as e:
        detail = f"the file has more than {limit} bytes"
        raise NotFetched(Fault.FETCH_TOO_LARGE, detail) from e
    except Unanswered as e:
        detail = f"no whole answer within {outbound.seconds:g} seconds"
        raise NotFetched(Fault.FETCH_FAILED, detail) from e
