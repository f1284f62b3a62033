"""Each canary dies when its setting is gone, so a living one proves something."""

from __future__ import annotations

import urllib.request
from urllib.error import URLError

import pytest

from provenance.manifest import canaries
from provenance.manifest.canaries import check_settings, listener, remote_visits, status_visits
from provenance.manifest.errors import Unsafe
from provenance.manifest.official import NO_HOSTS, NO_OCSP, NO_REMOTE, Settings, merge, trusting
from provenance.manifest.read import open_trust
from tests.provenance.manifest.files import NOW, Authority


def test_all_settings_hold() -> None:
    check_settings(now=NOW)


def test_listener_counts_its_visitors_to_the_last() -> None:
    with listener() as (url, visits):
        assert not visits
        for _ in range(3):
            with pytest.raises((URLError, ConnectionError)):
                urllib.request.urlopen(url, timeout=5)
    assert len(visits) == 3


@pytest.mark.parametrize(
    ("settings", "goes"),
    [
        ({}, True),
        (NO_REMOTE, False),
        (NO_HOSTS, False),
        ({"verify": {"remote_manifest_fetches": False}}, True),  # passed over in silence
        ({"core": {"allowed_hosts": []}}, True),
    ],
)
def test_library_goes_where_a_file_says_unless_a_setting_forbids(
    settings: Settings, goes: bool, authority: Authority
) -> None:
    ours = trusting(authority.anchors.decode())
    assert bool(remote_visits(merge(ours, settings))) is goes


@pytest.mark.parametrize(
    ("settings", "asks"),
    [({"verify": {"ocsp_fetch": True}}, True), (NO_OCSP, False)],
)
def test_library_asks_for_revocation_only_if_told_to(
    settings: Settings, asks: bool, authority: Authority
) -> None:
    ours = trusting(authority.anchors.decode())
    assert bool(status_visits(merge(ours, settings), authority.root, now=NOW)) is asks


CARELESS: Settings = {"verify": {"verify_trust": True}}


@pytest.mark.parametrize(
    ("name", "instead", "said"),
    [
        ("NO_REMOTE", CARELESS, "remote_manifest_fetch"),
        ("NO_HOSTS", CARELESS, "allowed_network_hosts"),
        ("NO_OCSP", {"verify": {"ocsp_fetch": True}}, "ocsp_fetch"),
        ("all_settings", trusting, "trust_config"),
        ("all_settings", lambda _: {"verify": {"verify_trust": False}}, "foreign|sound|trust"),
    ],
)
def test_canary_dies_without_its_setting(
    name: str, instead: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canaries, name, instead)
    with pytest.raises(Unsafe, match=said):
        check_settings(now=NOW)


def test_no_trust_list_opens_over_a_dead_canary(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canaries, "NO_REMOTE", CARELESS)
    with pytest.raises(Unsafe):
        open_trust(authority.anchors, now=NOW)
