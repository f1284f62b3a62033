"""The application: its routes, and the one place where problems become status codes.

Whatever goes wrong leaves as a problem document, what nobody foresaw too: then without any detail,
which goes into the log with the request's id.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from api import description
from api.door import Door
from api.installation import Installation, open_installation
from api.pages import audit, generate, session, static, verify
from api.pages.render import problem_page, wants_page
from api.problems import MEDIA_TYPE, Kind, Problem, document
from api.refusals import to_problem
from api.routes import (
    appeals,
    generations,
    images,
    log,
    marks,
    openai,
    policies,
    records,
    softbinding,
    state,
    verifications,
    webhooks,
)
from api.uploads import FORM_BYTES
from provenance import tracing
from provenance.errors import ProvenanceError
from provenance.settings import Settings

LOG = logging.getLogger("countermark.api")
JSON_BYTES = 256 * 1024  # of a body that is no picture
UPLOADS = ("/", "/v1/verifications", "/v1/marks", "/v1/matches/byContent")
ROUTES = (
    state,
    openai,
    generations,
    images,
    verifications,
    marks,
    records,
    log,
    appeals,
    policies,
    webhooks,
    softbinding,
    static,
    session,
    verify,
    generate,
    audit,
)

STATUS: dict[Kind, int] = {
    Kind.MALFORMED: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.MISSING_SCOPE: 403,
    Kind.CROSS_SITE: 403,
    Kind.NOT_FOUND: 404,
    Kind.METHOD_NOT_ALLOWED: 405,
    Kind.ALREADY_DONE: 409,
    Kind.KEY_REUSED: 409,
    Kind.TOO_LARGE: 413,
    Kind.URI_TOO_LONG: 414,
    Kind.UNSUPPORTED_MEDIA: 415,
    Kind.RANGE: 416,
    Kind.INVALID: 422,
    Kind.BANNED: 422,
    Kind.CANNOT_MARK: 422,
    Kind.UNREADABLE: 422,
    Kind.RATE_LIMITED: 429,
    Kind.PROBING: 429,
    Kind.QUOTA: 429,
    Kind.FAILED: 500,
    Kind.INTERNAL: 500,
    Kind.UNAVAILABLE: 503,
    Kind.STILL_RUNNING: 504,
}
"""The status of each problem."""


def create_app(settings: Settings) -> FastAPI:
    """The application of an installation; nothing is served yet. Raises BadKeyring."""
    here = open_installation(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        here.engine.dispose()
        await run_in_threadpool(tracing.flush)  # uvicorn ends by a signal, past all exit handlers

    app = FastAPI(
        title="Countermark",
        version=version("countermark"),
        summary="Draws marked images, verifies images, and proves what it recorded.",
        docs_url=None,  # the pages would load scripts from elsewhere
        redoc_url=None,
        openapi_url=None,  # served by a route that asks the table like all others
        lifespan=lifespan,
        # The door traces; what FastAPI would add has queries in it, which callers wrote.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.installation = here
    for module in ROUTES:
        app.router.routes.extend(module.routes.routes)
    _answer_problems(app)
    described = description.describe(app, STATUS)
    app.openapi = lambda: described  # type: ignore[method-assign]
    app.add_middleware(
        Door, metrics=here.metrics, body_limit=lambda path: _body_limit(here, path), refuse=_answer
    )
    return app


def _body_limit(here: Installation, path: str) -> int:
    return here.settings.upload_bytes + FORM_BYTES if path in UPLOADS else JSON_BYTES


def _answer_problems(app: FastAPI) -> None:
    app.add_exception_handler(Problem, _answer)
    app.add_exception_handler(ProvenanceError, _answer)
    app.add_exception_handler(HTTPException, _answer)
    app.add_exception_handler(RequestValidationError, _answer)
    app.add_exception_handler(DBAPIError, _answer)


def _answer(request: Request, error: Exception) -> Response:
    problem = to_problem(request, error)
    status = STATUS[problem.kind]
    request.app.state.installation.metrics.refuse(problem.kind)
    if status >= 500:
        request_id = {"request_id": request.state.request_id}
        LOG.error("%s: %s", problem.kind, problem.detail, exc_info=error, extra=request_id)
    if wants_page(request):
        return problem_page(request, problem, status)
    headers = dict(problem.headers)
    if status in (409, 500, 504):
        headers["x-should-retry"] = "false"  # to clients of the OpenAI API: it would not help
    content = document(problem, status, request.state.request_id)
    return JSONResponse(content, status, headers=headers, media_type=MEDIA_TYPE)
