"""How pages are entered: a write must come from a page of this very service."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response

from api.admission import Admitted
from api.problems import Kind, Problem
from api.sessions import SAFE, is_same_origin


class Paged(Admitted):
    """A page's route: in no API document, and closed to forms of other sites."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        admitted = super().get_route_handler()

        async def entered(request: Request) -> Response:
            if request.method not in SAFE and not is_same_origin(request):
                raise Problem(Kind.CROSS_SITE, "no page of this service sent it, or it hid that")
            return await admitted(request)

        return entered


def pages() -> APIRouter:
    """A router of pages."""
    return APIRouter(route_class=Paged, include_in_schema=False)
