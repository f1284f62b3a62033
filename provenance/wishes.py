"""What the three kinds of job hold: how the door writes them, and the workers read them.

Results are JSON too. `generate` and `mark`: {"pictures": [id, ...]}, the rest is in the pictures'
own rows (see provenance.pictures). `generate` has "reasons" beside them, also when a policy refused
it: what provenance.reasons tells of every concept that a policy acted upon. `verify`: {"sha256",
"width", "height", "verdict", "findings", "mark"} as `countermark verify --json` prints them,
"manifest": what the file's manifest says and how two readers took it, null without one, "overlays":
[{"name", "says", "media", "sha256"}], each a blob, and "fingerprint": PDQ's 32 bytes in
hexadecimal, null for a picture that is too flat; by it the door notices who probes the detector.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from provenance.blobs import Digest
from provenance.jobs import Kind, Wish

MOST_PICTURES = 8  # of one job: what is drawn together
LONGEST_PROMPT = 500  # characters
MARKS = ("trade", "lexical", "swap", "both")
SEARCHES = ("quick", "standard", "full")
NO_ATTACK = "none"
FORMATS = ("png", "jpeg", "webp")
BEST = 100  # output_compression: of jpeg and webp, the quality in percent
LARGEST_SEED = 2**53 - 1  # what every JSON reader keeps exact; the last picture's, with its count


@dataclass(frozen=True)
class Generate:
    """Pictures of one prompt; picture n has the seed `seed + n`."""

    model: str
    prompt: str
    seed: int
    count: int
    mark: str  # one of MARKS
    survive: str = NO_ATTACK  # the attack the mark must survive, e.g. jpeg-50
    output_format: str = FORMATS[0]
    output_compression: int = BEST

    def wish(self, tenant: str, caller: str | None) -> Wish:
        """Jobs of one tenant that agree in all but prompt and seed are drawn together."""
        written = f"{self.output_format}/{self.output_compression}"
        batch = f"{self.model}/{self.mark}/{self.survive}/{written}"
        return Wish(Kind.GENERATE, tenant, caller, asdict(self), batch=batch, size=self.count)


@dataclass(frozen=True)
class Verify:
    """A check of a file, against the keys and records of the job's tenant."""

    search: str  # one of SEARCHES
    name: str = "upload"  # what the caller calls the file; shown, never used

    def wish(self, tenant: str, caller: str | None, upload: Digest) -> Wish:
        return Wish(Kind.VERIFY, tenant, caller, asdict(self), upload)

    def wish_of(self, tenant: str, caller: str | None, source: str) -> Wish:
        """The same for a file that the worker fetches."""
        return Wish(Kind.VERIFY, tenant, caller, asdict(self), source=source)


@dataclass(frozen=True)
class Mark:
    """A mark in an uploaded picture."""

    model: str  # whose codec carries the mark
    name: str = "upload"
    output_format: str = FORMATS[0]
    output_compression: int = BEST

    def wish(self, tenant: str, caller: str | None, upload: Digest) -> Wish:
        return Wish(Kind.MARK, tenant, caller, asdict(self), upload)
