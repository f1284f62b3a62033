"""Sessions of the page: whose they are, how they end, and which requests they count for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.sessions import COOKIE, LASTS, format_session, read_session
from provenance import callers
from provenance.callers import NotACaller, Scope
from provenance.database import snapshot, transaction
from provenance.keys import Purpose
from provenance.pictures import OWNER
from tests.api.installations import Installed
from tests.api.toy_worker import png

HTML = {"Accept": "text/html"}
OWN = HTML | {"Origin": "http://testserver"}
NOW = datetime.now(UTC)


def token(header: dict[str, str]) -> str:
    return header["Authorization"].removeprefix("Bearer ")


def cookies(cookie: str) -> dict[str, str]:
    return {"Cookie": f"{COOKIE}={cookie}"}


def signed_in(here: Installed, *scopes: Scope) -> str:
    """The cookie of a new session."""
    form = {"key": token(here.key(*scopes)), "after": "/audit"}
    answer = here.client.post("/sign-in", data=form, headers=OWN, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/audit")
    sent = answer.headers["set-cookie"].lower()
    assert "httponly" in sent
    assert "samesite=strict" in sent
    here.client.cookies.clear()  # each request says for itself whether it has one
    return answer.cookies[COOKIE]


def test_a_session_opens_reads_and_holds_no_key(here: Installed) -> None:
    cookie = signed_in(here)
    assert "cm_" not in cookie
    assert here.client.get("/v1/records", headers=cookies(cookie)).status_code == 200
    here.client.cookies.clear()
    assert here.client.get("/v1/records").status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://testserver"}, 202),
        ({"Sec-Fetch-Site": "same-origin"}, 202),
        ({"Origin": "http://evil.example"}, 401),
        ({"Origin": "null"}, 401),
        ({}, 401),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"}, 401),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"}, 401),
    ],
)
def test_a_session_writes_only_from_a_page_of_this_origin(
    here: Installed, headers: dict[str, str], status: int
) -> None:
    cookie = signed_in(here)
    wish = {"prompt": "a red apple"}
    sent = here.client.post("/v1/generations", json=wish, headers=headers | cookies(cookie))
    assert sent.status_code == status


@pytest.mark.parametrize("path", ["/", "/generate", "/sign-in", "/sign-out"])
def test_no_form_of_another_site_is_taken(here: Installed, path: str) -> None:
    for headers in (HTML, HTML | {"Origin": "http://evil.example"}):
        answer = here.client.post(path, data={"prompt": "x"}, headers=headers)
        assert answer.status_code == 403
        assert "not sent from a page of this service" in answer.text


def test_a_session_has_the_scopes_of_its_key(here: Installed) -> None:
    cookie = signed_in(here, Scope.AUDIT)
    assert here.client.get("/v1/generations", headers=cookies(cookie)).status_code == 403
    picture = {"file": ("x.png", png("x"), "image/png")}
    sent = here.client.post("/", files=picture, headers=OWN | cookies(cookie))
    assert sent.status_code == 403


def test_a_session_ends_with_its_time_its_key_and_any_change(here: Installed) -> None:
    caller = "".join(token(here.key()).removeprefix("cm_")[:12])
    active = here.ring.active(Purpose.TOKEN, OWNER)
    keys = [active]
    with snapshot(here.engine) as session:
        found = callers.read_caller(session, caller, keys, now=NOW)
        cookie = format_session(found, active, now=NOW)
        assert read_session(session, cookie, keys, now=NOW + LASTS / 2) == found
        later = str(int((NOW + 2 * LASTS).timestamp()))
        parts = cookie.split(".")
        for broken, now in (
            (cookie, NOW + LASTS + timedelta(seconds=1)),
            (cookie[:-1], NOW),
            (".".join([parts[0], later, parts[2]]), NOW),
            (".".join([parts[0][::-1], *parts[1:]]), NOW),
            ("", NOW),
            ("..", NOW),
            (cookie + "é", NOW),
        ):
            with pytest.raises(NotACaller):
                read_session(session, broken, keys, now=now)
        with pytest.raises(NotACaller):
            read_session(session, cookie, [], now=NOW)
    with transaction(here.engine) as session:
        callers.revoke(session, caller, now=NOW)
    with snapshot(here.engine) as session, pytest.raises(NotACaller):
        read_session(session, cookie, keys, now=NOW)


def test_a_page_with_a_dead_session_says_so_and_forgets_it(here: Installed) -> None:
    here.client.cookies.clear()
    answer = here.client.get("/audit/keys", headers=HTML | cookies("a.1.b"))
    assert answer.status_code == 401
    assert "sign in again" in answer.text
    assert f'{COOKIE}=""' in answer.headers["set-cookie"]
    here.client.cookies.clear()
    front = here.client.get("/", headers=HTML | cookies("a.1.b"))
    assert front.status_code == 200
    assert "Sign in" in front.text


def test_a_wrong_key_is_told_and_leads_nowhere_else(here: Installed) -> None:
    here.client.cookies.clear()
    form = {"key": "cm_wrong", "after": "//evil.example"}
    answer = here.client.post("/sign-in", data=form, headers=OWN)
    assert answer.status_code == 401
    assert "not a valid API key" in answer.text
    assert "evil.example" not in answer.text
    right = {"key": token(here.key()), "after": "https://evil.example"}
    sent = here.client.post("/sign-in", data=right, headers=OWN, follow_redirects=False)
    assert sent.headers["location"] == "/"


def test_programs_get_problems_as_json_and_people_as_a_page(here: Installed) -> None:
    here.client.cookies.clear()
    assert here.client.get("/nothing").headers["content-type"] == "application/problem+json"
    page = here.client.get("/nothing", headers=HTML)
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
