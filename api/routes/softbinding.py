"""The C2PA Soft Binding Resolution API 2.4: from a mark, or a picture, to the manifest it lost.

What is stored are the manifests of this service's own pictures; a tenant finds its own. A manifest
that is found this way is not bound to the bytes that were asked about: the caller must hold it
against the picture. Receipts are anchored in our log: `anchor.proof` holds a C2SP tlog-proof.
Storing foreign manifests, bindings and fetching by reference are not offered.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from api import uploads
from api.admission import Asker, Asking, router
from api.answers import file
from api.asking import LONGEST_WAIT, Key, check_done, place, read_job
from api.conditional import serve
from api.documents import Taken
from api.installation import Here, Installation
from api.probing import check_not_probing
from api.problems import Kind, Problem, not_found
from api.routes.images import C2PA
from provenance import jobs, pictures
from provenance.database import snapshot
from provenance.jobs import Job
from provenance.ledger.errors import LedgerError
from provenance.ledger.log import find_entries, prove, read_record
from provenance.ledger.proof import format_proof, open_proof
from provenance.ledger.record import Picture as PictureRecord
from provenance.manifest.container import scan
from provenance.pictures import Picture
from provenance.wishes import Verify

routes = router()

VERSION = "2.4.0"
ALGORITHMS = ("countermark.lexical.1", "countermark.swap.1", "countermark.posthoc.1")
PROOF_FORMAT = "c2sp.org/tlog-proof@v1"
LONGEST_QUERY = 1_000  # characters of a value in an address; more goes into a body
SCANNED = 1_000  # of the tenant's newest pictures
BITS = 256

_STORE = file(C2PA)

ManifestId = Annotated[
    str, Path(max_length=200, description="The label of an active manifest, urn:c2pa:UUID.")
]
MaxResults = Annotated[int, Query(ge=1, le=100, description="At most so many matches.")]
Algorithm = Annotated[str, Query(max_length=100, description="As supportedAlgorithms lists it.")]


class Discovery(BaseModel):
    apiEndpoint: str
    c2paSpecificationVersion: str = VERSION
    capabilitiesEndpoint: str
    statusEndpoint: str


class Named(BaseModel):
    alg: str


class Algorithms(BaseModel):
    watermarks: list[Named]
    fingerprints: list[Named]


class Capabilities(BaseModel):
    c2paSpecificationVersion: str = VERSION
    supportedCapabilities: list[str]


class Status(BaseModel):
    status: Literal["ok", "degraded", "down"]
    timestamp: datetime


class Binding(Taken):
    """A soft binding to be resolved."""

    value: Annotated[str, Field(max_length=10_000, description="In base64.")]
    alg: Annotated[str, Field(max_length=100, description="As supportedAlgorithms lists it.")]


class Match(BaseModel):
    manifestId: str
    endpoint: str
    similarityScore: Annotated[
        int | None, Field(description="0 to 100, of fingerprints alone.")
    ] = None


class Matches(BaseModel):
    matches: list[Match]


class Repository(BaseModel):
    uri: str
    manifestId: str


class Proof(BaseModel):
    format: str = PROOF_FORMAT
    value: Annotated[str, Field(description="The proof file, in base64.")]


class Anchor(BaseModel):
    uri: Annotated[str, Field(description="Where the log's checkpoint is.")]
    parameters: Annotated[dict[str, str], Field(description="origin: the log's name.")]
    proof: Proof


class Receipt(BaseModel):
    """A manifest receipt, anchored in a transparency log."""

    model_config = ConfigDict(populate_by_name=True)

    context: Annotated[
        list[str], Field(alias="@context", description="Names of the vocabularies.")
    ] = ["https://c2pa.org/receipt/v1"]
    type: Annotated[str, Field(alias="@type")] = "org.c2pa.manifest-receipt"
    repository: Repository
    anchor: Anchor


class Checked(Receipt):
    verified: bool
    error: str | None = None


@routes.get("/.well-known/c2pa-soft-binding-resolution", tags=["c2pa"])
def discover(here: Here) -> Discovery:
    """Where the API is."""
    base = f"{here.settings.public_url}/v1"
    return Discovery(
        apiEndpoint=base,
        capabilitiesEndpoint=f"{base}/services/capabilities",
        statusEndpoint=f"{base}/services/status",
    )


@routes.get("/v1/services/supportedAlgorithms", tags=["c2pa"])
def list_algorithms() -> Algorithms:
    """Whose bindings can be resolved by value."""
    return Algorithms(watermarks=[Named(alg=one) for one in ALGORITHMS], fingerprints=[])


@routes.get("/v1/services/capabilities", tags=["c2pa"])
def list_capabilities() -> Capabilities:
    """Which optional parts of the API are offered."""
    return Capabilities(supportedCapabilities=["queryByContent"])


@routes.get("/v1/services/status", tags=["c2pa"])
def read_status() -> Status:
    """Whether the API answers; /ready says how the parts behind it are."""
    return Status(status="ok", timestamp=datetime.now(UTC))


@routes.get("/v1/matches/byBinding", tags=["c2pa"])
def match_binding(
    here: Here,
    asker: Asking,
    value: Annotated[str, Query(description="The binding's value in base64.")],
    alg: Algorithm,
    max_results: Annotated[MaxResults, Query(alias="maxResults")] = 10,
) -> Matches:
    """The tenant's manifests with this soft binding, the newest first."""
    if len(value) > LONGEST_QUERY:
        raise Problem(Kind.URI_TOO_LONG, f"value: more than {LONGEST_QUERY} characters")
    return _match(here, asker, alg, value, max_results)


@routes.post("/v1/matches/byBinding", tags=["c2pa"])
def match_long_binding(
    binding: Binding,
    here: Here,
    asker: Asking,
    max_results: Annotated[MaxResults, Query(alias="maxResults")] = 10,
) -> Matches:
    """The same for a value that is too long for an address."""
    return _match(here, asker, binding.alg, binding.value, max_results)


@routes.post("/v1/matches/byContent", openapi_extra=uploads.BODY, tags=["c2pa"])
async def match_content(
    request: Request,
    here: Here,
    asker: Asking,
    max_results: Annotated[MaxResults, Query(alias="maxResults")] = 10,
    alg: Annotated[str | None, Query(max_length=100, description="Ignored: all are tried.")] = None,
) -> Matches:
    """The manifests of those of the tenant's pictures that a picture goes back to or looks like."""
    digest = await uploads.receive(here, request)
    wish = Verify(search="quick").wish(asker.tenant.id, asker.caller_id, digest)
    asked = [(wish, Key(None).once())]
    (job,) = await run_in_threadpool(place, here, request, asker, asked)
    await here.watch.until_ended(job.id, LONGEST_WAIT)
    return await run_in_threadpool(_match_job, here, asker, job, max_results)


@routes.get("/v1/manifests/{manifest}", tags=["c2pa"], response_class=Response, responses=_STORE)
def fetch_manifest(
    manifest: ManifestId,
    request: Request,
    here: Here,
    asker: Asking,
    return_active: Annotated[
        Literal["true", "false"],
        Query(alias="returnActiveManifest", description="Stores here hold their one manifest."),
    ] = "false",
) -> Response:
    """The manifest store whose active manifest has this label."""
    with snapshot(here.engine) as session:
        picture = _find(session, asker, manifest)
    store = scan(here.blobs.get(picture.blob)).store
    if store is None:
        raise not_found("manifest")
    return serve(request, store, C2PA)


@routes.get("/v1/manifests/{manifest}/receipts", tags=["c2pa"], response_model_by_alias=True)
def read_receipt(manifest: ManifestId, here: Here, asker: Asking) -> Receipt:
    """That the manifest's picture is in our log; 404 until a checkpoint covers it."""
    with snapshot(here.engine) as session:
        picture = _find(session, asker, manifest)
        proof = format_proof(prove(session, picture.entry))
    base = f"{here.settings.public_url}/v1"
    return Receipt(
        repository=Repository(uri=base, manifestId=manifest),
        anchor=Anchor(
            uri=f"{base}/log/checkpoint",
            parameters={"origin": here.origin},
            proof=Proof(value=b64encode(proof).decode()),
        ),
    )


@routes.post("/v1/manifests/{manifest}/receipts", tags=["c2pa"], response_model_by_alias=True)
def check_receipt(manifest: ManifestId, receipt: Receipt, here: Here, asker: Asking) -> Checked:
    """Whether a receipt proves that this manifest's picture is in our log."""
    with snapshot(here.engine) as session:
        _find(session, asker, manifest)
    error = None
    try:
        proven = open_proof(b64decode(receipt.anchor.proof.value, validate=True), here.log)
        record = proven.record
        if not isinstance(record, PictureRecord) or record.manifest != manifest:
            error = "the proof is of another manifest"
    except (LedgerError, BadBase64, ValueError) as e:
        error = str(e)[:500]
    fields = receipt.model_dump()
    return Checked(**fields, verified=error is None, error=error)


def _match(here: Installation, asker: Asker, alg: str, value: str, most: int) -> Matches:
    """Manifests by the mark that their records name: its scheme and the id of its key."""
    if alg not in ALGORITHMS:
        return Matches(matches=[])
    try:
        key = b64decode(value, validate=True).decode()
    except (BadBase64, ValueError):
        return Matches(matches=[])
    found: list[Match] = []
    with snapshot(here.engine) as session:
        for entry in pictures.page(session, asker.tenant.id, before=None, limit=SCANNED):
            record = read_record(session, entry)
            if not isinstance(record, PictureRecord) or record.mark is None:
                continue
            named = f"countermark.{record.mark.scheme.replace('/', '.')}"
            if (named, record.mark.key) == (alg, key):
                found.append(_matched(here, record, None))
            if len(found) == most:
                break
    return Matches(matches=found)


def _match_job(here: Installation, asker: Asker, asked: Job, most: int) -> Matches:
    job = read_job(here, asker, asked.id, jobs.Kind.VERIFY)
    check_done(job, f"{here.settings.public_url}/v1/verifications/{job.id}")
    check_not_probing(here, asker, job)
    result = job.result or {}
    looks = result["findings"]["fingerprint"]
    score = None
    if looks["entries"]:
        score = round(100 * (1 - float(looks["value"]) / BITS))
    found = []
    with snapshot(here.engine) as session:
        for entry in pictures.visible(session, result["verdict"]["entries"], asker.tenant.id):
            record = read_record(session, entry)
            if isinstance(record, PictureRecord):
                alike = entry in looks["entries"]
                found.append(_matched(here, record, score if alike else None))
    return Matches(matches=found[:most])


def _matched(here: Installation, record: PictureRecord, score: int | None) -> Match:
    base = f"{here.settings.public_url}/v1"
    return Match(manifestId=record.manifest, endpoint=base, similarityScore=score)


def _find(session: Session, asker: Asker, manifest: str) -> Picture:
    """The tenant's picture whose record names this manifest."""
    entries = find_entries(session, "manifest", manifest.encode())
    own = pictures.of_entries(session, entries, asker.tenant.id)
    for picture in own.values():
        return picture
    raise not_found("manifest")
