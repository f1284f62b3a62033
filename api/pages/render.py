"""Pages as HTML: the templates, what every page is told, and what a browser may do with it.

Whatever comes from a file, a record or a caller is text: templates escape it, and the policy sent
with each page lets no script run but the files of this service, and nothing be asked of any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.admission import Asker
from api.pages import words
from api.problems import Kind, Problem
from api.problems import document as problem_document
from api.sessions import COOKIE

HTML = "text/html"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # data: previews, and the picture that the browser itself holds
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",  # else browsers hide where a form was sent from
    "Vary": "Accept, Cookie",
}


def _environment() -> Environment:
    templates = FileSystemLoader(Path(__file__).parent / "templates")
    made = Environment(
        loader=templates,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= words.FILTERS
    return made


_TEMPLATES = _environment()


def page(request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """The page of a template."""
    text = _TEMPLATES.get_template(f"{name}.html").render(
        path=request.url.path, visitor=visitor(request), **values
    )
    return HTMLResponse(text, status, headers=_HEADERS)


def visitor(request: Request) -> Asker | None:
    """Who is signed in, None if nobody is."""
    found: Asker | None = getattr(request.state, "asker", None)
    if found is None:
        found = getattr(request.state, "visitor", None)
    return None if found is None or found.caller is None else found


def wants_page(request: Request) -> bool:
    """Whether a person reads the answer."""
    return HTML in request.headers.get("accept", "")


def problem_page(request: Request, problem: Problem, status: int) -> HTMLResponse:
    """What was refused, and what to do about it; without a session there is a way to sign in."""
    told = problem_document(problem, status, request.state.request_id)
    asked = problem.kind is Kind.UNAUTHENTICATED
    after = request.url.path if request.method == "GET" else "/"
    answer = page(request, "problem", status=status, told=told, problem=problem, after=after)
    for name, value in problem.headers.items():
        answer.headers[name] = value
    if asked:
        answer.delete_cookie(COOKIE)
    return answer
