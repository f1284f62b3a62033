"""Canaries: prove, before anything is read, that each setting of the C2PA library does its work.

The library passes over a setting that it does not know, so a changed name would silently bring its
defaults back. Each setting that keeps it off the network is tried alone, against a listener of our
own on the loopback; the others are tried on files made here, by authorities made here.
"""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

from provenance.manifest.chain import CLAIM_SIGNING
from provenance.manifest.claim import Claim, Model
from provenance.manifest.container import png_chunk
from provenance.manifest.errors import Unsafe
from provenance.manifest.finding import Reason, State
from provenance.manifest.official import (
    NO_HOSTS,
    NO_OCSP,
    NO_REMOTE,
    Library,
    Settings,
    all_settings,
    merge,
    trusting,
)
from provenance.manifest.write import sign
from provenance.manifest.xmp import embed_packet, format_packet
from provenance.pki import TEST_ORGANIZATION, FileSigner, Issued, issue_leaf, make_root, pem

_ORGANIZATION = TEST_ORGANIZATION  # so that none of these could ever pass for real


def check_settings(*, now: datetime) -> None:
    """Raise Unsafe unless every setting holds; takes some hundredths of a second."""
    root = make_root(_ORGANIZATION, now=now)
    check_trust(root, now=now)
    ours = trusting(pem([root.certificate]).decode())
    if remote_visits(merge(ours, NO_REMOTE)):
        raise Unsafe("remote_manifest_fetch: the C2PA library fetched an address from a file")
    if remote_visits(merge(ours, NO_HOSTS)):
        raise Unsafe("allowed_network_hosts: the C2PA library fetched an address from a file")
    if status_visits(merge(ours, NO_OCSP), root, now=now):
        raise Unsafe("ocsp_fetch: the C2PA library asked a revocation service")


def check_trust(root: Issued, *, now: datetime) -> None:
    """Raise Unsafe unless the settings tell sound from changed files, and ours from foreign."""
    library = Library(all_settings(pem([root.certificate]).decode()))
    sound = _signed(issue_leaf(root, _ORGANIZATION, now=now), now)
    narrow = _signed(issue_leaf(root, _ORGANIZATION, now=now, usages=[CLAIM_SIGNING]), now)
    other = make_root(_ORGANIZATION, now=now)
    foreign = _signed(issue_leaf(other, _ORGANIZATION, now=now), now)
    changed = sound.replace(_scanline(0), _scanline(255))
    for what, file, expected in (
        ("a sound file is not trusted", sound, State.TRUSTED),
        ("trust_config: a signer of claims is not trusted", narrow, State.TRUSTED),
        ("trust_anchors: a foreign root is trusted", foreign, State.UNTRUSTED),
        ("verify_after_reading: a changed file passes", changed, State.UNBOUND),
    ):
        if (opinion := library.judge(file)).state is not expected:
            raise Unsafe(f"{what}: {opinion.state}, {opinion.detail}")
    remote = library.judge(_remote_file("http://127.0.0.1:9/manifest"))
    if remote.reason is not Reason.REMOTE:
        raise Unsafe(f"a file with a remote manifest reads as {remote.state}, {remote.detail}")


def remote_visits(settings: Settings) -> int:
    """How often the library, reading a file that names an address, goes there."""
    with listener() as (url, visits):
        Library(settings).judge(_remote_file(url))
    return len(visits)


def status_visits(settings: Settings, root: Issued, *, now: datetime) -> int:
    """How often the library asks the revocation service that a certificate names."""
    with listener() as (url, visits):
        leaf = issue_leaf(root, _ORGANIZATION, now=now, status_url=url)
        Library(settings).judge(_signed(leaf, now))
    return len(visits)


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """An address on the loopback, and who came; each visitor is turned away at once."""
    visits: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.02)
        closing = threading.Event()
        thread = threading.Thread(target=_turn_away, args=(server, visits, closing))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/x", visits
        finally:
            closing.set()
            thread.join()


def _turn_away(server: socket.socket, visits: list[str], closing: threading.Event) -> None:
    """Once more after closing: a visitor of the last moment is in the queue."""
    last = False
    while not last:
        last = closing.is_set()
        try:
            connection, address = server.accept()
        except TimeoutError:
            continue
        connection.close()
        visits.append(str(address))
        last = False


def _signed(leaf: Issued, now: datetime) -> bytes:
    claim = Claim(uuid4(), now.replace(microsecond=0), Model("canary", "1", bytes(32)), None)
    return sign(_picture(0), claim, FileSigner((leaf.certificate,), leaf.key)).file


def _remote_file(url: str) -> bytes:
    link = f"<dcterms:provenance>{url}</dcterms:provenance>"
    namespace = "http://purl.org/dc/terms/"
    return embed_packet(_picture(0), format_packet(link, namespace=namespace, prefix="dcterms"))


def _picture(grey: int) -> bytes:
    """A PNG file of one pixel."""
    header = (1).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    start, end = png_chunk(b"IHDR", header), png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + start + _scanline(grey) + end


def _scanline(grey: int) -> bytes:
    return png_chunk(b"IDAT", zlib.compress(bytes([0, grey])))
