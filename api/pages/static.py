"""The stylesheet and the scripts: read when the server starts, told apart by their digest."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated

from fastapi import Path, Request, Response

from api.conditional import serve
from api.pages.entrance import pages
from api.problems import not_found

routes = pages()

_MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOLDER = FilePath(__file__).parent / "static"
_FILES = {file.name: file.read_bytes() for file in sorted(_FOLDER.iterdir())}


@routes.get("/static/{name}")
def read_static(name: Annotated[str, Path(max_length=100)], request: Request) -> Response:
    """A file of the page; the browser asks whether it changed."""
    if name not in _FILES:
        raise not_found("file")
    media = _MEDIA[FilePath(name).suffix]
    return serve(request, _FILES[name], media, {"Cache-Control": "no-cache"})
