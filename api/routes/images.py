"""Pictures that were made, with what proves where they come from; each belongs to a tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path, Request, Response

from api.admission import Asker, Asking, router
from api.answers import BINARY, Responses, file
from api.conditional import serve
from api.installation import Here, Installation
from api.problems import not_found
from api.signatures import EXTENSIONS, MEDIA_TYPES
from provenance import pictures
from provenance.database import snapshot
from provenance.ledger.log import prove
from provenance.ledger.proof import format_proof
from provenance.manifest.container import scan
from provenance.pictures import Picture

routes = router()

C2PA = "application/c2pa"
PROOF = "text/plain; charset=utf-8"
_PART: Responses = {
    206: {
        "description": "The bytes of the range.",
        "content": {one: {"schema": BINARY} for one in MEDIA_TYPES},
    },
}

ImageId = Annotated[str, Path(max_length=100, description="The id of a picture, a UUID.")]
IfNoneMatch = Annotated[
    str | None, Header(max_length=1000, description="ETags that the caller has already.")
]
Range = Annotated[
    str | None, Header(max_length=100, description="One range of bytes, e.g. bytes=0-1023.")
]


@routes.get(
    "/v1/images/{image}.proof",
    tags=["images"],
    response_class=Response,
    responses=file("text/plain"),
)
def read_proof(image: ImageId, request: Request, here: Here, asker: Asking) -> Response:
    """The .tlog-proof file that proves offline that the picture's record is in the log.

    404 with Retry-After until a checkpoint covers the record.
    """
    picture = _find(here, asker, image)
    with snapshot(here.engine) as session:
        proof = format_proof(prove(session, picture.entry))
    return serve(request, proof, PROOF, _named(image, "tlog-proof"))


@routes.get(
    "/v1/images/{image}.manifest",
    tags=["images"],
    response_class=Response,
    responses=file(C2PA),
)
def read_manifest(image: ImageId, request: Request, here: Here, asker: Asking) -> Response:
    """The C2PA manifest store of the picture's file."""
    store = scan(here.blobs.get(_find(here, asker, image).blob)).store
    if store is None:
        raise not_found("manifest")
    return serve(request, store, C2PA, _named(image, "c2pa"))


@routes.get(
    "/v1/images/{image}",
    tags=["images"],
    response_class=Response,
    responses={**file(*MEDIA_TYPES), **_PART},
)
def read_image(
    image: ImageId,
    request: Request,
    here: Here,
    asker: Asking,
    if_none_match: IfNoneMatch = None,
    range_: Annotated[Range, Header(alias="Range")] = None,
) -> Response:
    """The file, as it was signed and recorded; parts of it by Range."""
    picture = _find(here, asker, image)
    data = here.blobs.get(picture.blob)
    return serve(request, data, picture.media, _named(image, EXTENSIONS[picture.media]))


def _find(here: Installation, asker: Asker, image: str) -> Picture:
    with snapshot(here.engine) as session:
        return pictures.read(session, image, asker.tenant.id)


def _named(image: str, extension: str) -> dict[str, str]:
    name = f"{image[:36]}.{extension}"
    kept = "private, max-age=31536000, immutable"
    return {"Content-Disposition": f'inline; filename="{name}"', "Cache-Control": kept}
