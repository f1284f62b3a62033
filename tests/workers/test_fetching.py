"""A file is fetched whole and within its limit, or there is a named failure that tells nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from provenance.jobs import Fault
from provenance.outbound import Outbound, Reach
from tests.api.serving import serving
from workers.fetching import NotFetched, fetch, public

FILE = b"\x89PNG\r\n\x1a\n" + bytes(1000)


def site(asked: list[Request]) -> ASGIApp:
    """A site with a file, and with what is no file."""

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1000)

    answers: dict[str, Callable[[], ASGIApp]] = {
        "/file": lambda: Response(FILE, media_type="image/png"),
        "/moved": lambda: RedirectResponse("/file"),
        "/gone": lambda: PlainTextResponse("secret", 404),
        "/packed": lambda: Response(FILE, headers={"Content-Encoding": "gzip"}),
        "/endless": lambda: StreamingResponse(endless()),
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            asked.append(Request(scope))
            await answers[scope["path"]]()(scope, receive, send)

    return app


@contextmanager
def here() -> Iterator[tuple[Outbound, str, list[Request]]]:
    asked: list[Request] = []
    with serving(site(asked)) as url:
        yield Outbound(Reach.ANYWHERE, 5), url, asked


def test_a_file_is_fetched_as_it_is_and_nothing_is_told_about_us() -> None:
    with here() as (outbound, url, asked):
        assert fetch(outbound, f"{url}/file", limit=len(FILE)) == FILE
    (request,) = asked
    assert request.method == "GET"
    assert not {"authorization", "cookie", "referer", "traceparent"} & set(request.headers)


@pytest.mark.parametrize(
    ("path", "fault", "says"),
    [
        ("/moved", Fault.FETCH_FAILED, "answers 307"),
        ("/gone", Fault.FETCH_FAILED, "answers 404"),
        ("/packed", Fault.FETCH_FAILED, "compressed"),
        ("/endless", Fault.FETCH_TOO_LARGE, "more than 2000 bytes"),
    ],
)
def test_what_is_no_file_fails_by_name(path: str, fault: Fault, says: str) -> None:
    with here() as (outbound, url, asked), pytest.raises(NotFetched, match=says) as failed:
        fetch(outbound, f"{url}{path}", limit=2000)
    assert failed.value.fault is fault
    assert len(asked) == 1
    assert "secret" not in str(failed.value)


def test_one_byte_too_many_is_too_many() -> None:
    with here() as (outbound, url, _), pytest.raises(NotFetched) as failed:
        fetch(outbound, f"{url}/file", limit=len(FILE) - 1)
    assert failed.value.fault is Fault.FETCH_TOO_LARGE


def test_nothing_of_this_network_is_fetched_or_told() -> None:
    with here() as (_, url, asked):
        for address in (url, url.replace("http:", "https:"), "https://127.0.0.1:9/x"):
            with pytest.raises(NotFetched) as failed:
                fetch(public(), f"{address}/file", limit=2000)
            assert failed.value.fault is Fault.FETCH_REFUSED
            assert str(failed.value) == "nothing is fetched from this address"
    assert asked == []


def test_nobody_there_is_a_failure_that_tells_nothing() -> None:
    with pytest.raises(NotFetched) as failed:
        fetch(Outbound(Reach.ANYWHERE, 2), "http://127.0.0.1:1/file", limit=10)
    assert failed.value.fault is Fault.FETCH_FAILED
    assert str(failed.value) == "no whole answer within 2 seconds"
