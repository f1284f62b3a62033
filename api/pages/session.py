"""Signing in and out."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from api.installation import Here, Installation
from api.pages.entrance import pages
from api.pages.render import page
from api.sessions import COOKIE, LASTS, format_session
from provenance.callers import NotACaller, authenticate
from provenance.database import snapshot

routes = pages()


@routes.get("/sign-in")
def show_sign_in(request: Request, after: str = "/") -> Response:
    """The form for an API key."""
    return page(request, "sign-in", after=inside(after), fault=None)


@routes.post("/sign-in")
async def sign_in(request: Request, here: Here) -> Response:
    """A session for whoever shows a valid API key; then the page that was wanted."""
    given = await read_form(request)
    after = inside(given.get("after", "/"))
    try:
        cookie = await run_in_threadpool(_open, here, given.get("key", "").strip())
    except NotACaller as e:
        return page(request, "sign-in", status=401, after=after, fault=str(e))
    answer = RedirectResponse(after, 303)
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=int(LASTS.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=here.settings.public_url.startswith("https:"),
    )
    return answer


@routes.post("/sign-out")
def sign_out(request: Request) -> Response:
    """No session, on this browser."""
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE)
    return answer


async def read_form(request: Request) -> dict[str, str]:
    """The fields of an ordinary form, the first of each name."""
    body = await request.body()
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50)
    return {name: values[0] for name, values in fields.items()}


def inside(after: str) -> str:
    """A path of this service; the front page for anything else."""
    plain = after.startswith("/") and not after.startswith(("//", "/\\")) and after.isprintable()
    return after if plain and len(after) < 500 else "/"


def _open(here: Installation, token: str) -> str:
    now = datetime.now(UTC)
    with snapshot(here.engine) as session:
        caller = authenticate(session, token, here.tokens, now=now)
    return format_session(caller, here.tokens[0], now=now)
