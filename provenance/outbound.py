"""Requests to addresses that callers name: only to public hosts, within a time and a size.

A name is resolved once, every address it has is checked, and one of these very addresses is
connected to, so a name that changes its address in between gains nothing. Refused are private,
loopback, link-local, multicast and reserved addresses, those that carry an IPv4 address inside an
IPv6 one, plain HTTP, passwords in addresses and ports of other services. Redirects are answers like
others: nobody follows them. Not promised: that a public host does not pass the request on.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from queue import Empty, SimpleQueue
from threading import Thread, Timer
from urllib.parse import SplitResult, urlsplit

from provenance.errors import ProvenanceError

URL_CHARACTERS = 2000  # at most
_PRINTED = re.compile(r"[!-~]+")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_WEB_PORTS = (80, 443)
_OTHERS_PORTS = 1024  # below it, a port belongs to a service that is not meant
_UNICAST = IPv6Network("2000::/3")  # all that is assigned to hosts
_EMBEDDING = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))  # Teredo, 6to4
_SET_ASIDE = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("3fff::/20"),
)

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], list[tuple[str, int]]]  # every address and port of a name


class Refused(ProvenanceError):
    """An address that nothing is sent to."""


class Unanswered(ProvenanceError):
    """Nobody answered, or not in time, or not in HTTP, or less than was announced."""


class TooLong(ProvenanceError):
    """The answer has more bytes than are taken."""


class Reach(StrEnum):
    """How far requests may go."""

    PUBLIC = "public"  # HTTPS to public addresses
    ANYWHERE = "anywhere"  # plain HTTP and private addresses too: tests and closed networks


@dataclass(frozen=True)
class Answer:
    """A status and headers; the body is read as long as the exchange lasts."""

    status: int
    headers: http.client.HTTPMessage
    _response: http.client.HTTPResponse = field(repr=False)
    _deadline: _Deadline = field(repr=False)

    def read(self, most: int) -> bytes:
        """The whole body; raises TooLong, Unanswered."""
        with _converted(self._deadline):
            body = self._response.read(most + 1)
        if len(body) > most:
            raise TooLong(f"the answer has more than {most} bytes")
        if self._response.length:
            raise Unanswered(f"the answer ends {self._response.length} bytes early")
        return body


@dataclass(frozen=True)
class Outbound:
    """What sends requests; `seconds` is for all of one, from its name to the end of the body."""

    reach: Reach
    seconds: float
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
    resolve: Resolve = field(default_factory=lambda: _resolve, repr=False)

    @contextmanager
    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> Iterator[Answer]:
        """The answer to one request; raises Refused before a byte is sent, or Unanswered."""
        parts = parse_url(url, self.reach)
        deadline = _Deadline(self.seconds)
        addresses = self._addresses(parts, deadline)
        with _converted(deadline):
            connection = _connection(parts, self.tls)
            connection.sock = _connect(addresses, deadline)
        with closing(connection), deadline.enforced(connection.sock):
            with _converted(deadline):
                if parts.scheme == "https":
                    connection.sock = _secured(connection.sock, self.tls, _host(parts))
                connection.request(method, _target(parts), body=body, headers=dict(headers))
                response = connection.getresponse()
            with response:
                yield Answer(response.status, response.headers, response, deadline)

    def _addresses(self, parts: SplitResult, deadline: _Deadline) -> list[tuple[str, int]]:
        """The checked addresses of the host, resolved once."""
        host = _host(parts)
        addresses = deadline.within(lambda: self.resolve(host, _port(parts)))
        if not addresses:
            raise Unanswered(f"{host} has no address")
        if self.reach is Reach.PUBLIC:
            for address, _ in addresses:
                check_public(host, address)
        return addresses


def parse_url(url: str, reach: Reach) -> SplitResult:
    """The parts of an address that requests may go to, as far as its text tells; raises Refused."""
    if len(url) > URL_CHARACTERS or not _PRINTED.fullmatch(url):
        raise Refused(f"an address has 1 to {URL_CHARACTERS} visible ASCII characters")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as e:
        raise Refused(f"not an address: {e}") from e
    schemes = ("https",) if reach is Reach.PUBLIC else ("https", "http")
    if parts.scheme not in schemes:
        raise Refused(f"an address begins with {' or '.join(one + '://' for one in schemes)}")
    if "@" in parts.netloc or "#" in url:
        raise Refused("an address has no name, password or fragment in it")
    if host is None or not (_NAME.fullmatch(host) or _literal(parts)):
        raise Refused("an address names a host")
    others = port is not None and port not in _WEB_PORTS and port < _OTHERS_PORTS
    if port == 0 or (others and reach is Reach.PUBLIC):
        raise Refused(f"port {port} is not one of the web: 80, 443, or from {_OTHERS_PORTS} on")
    return parts


def check_public(host: str, address: str) -> None:
    """Raises Refused unless anyone on the internet can be meant by the address."""
    if not _is_public(ip_address(address)):
        raise Refused(f"{host} has the address {address}, which is not public")


def _is_public(address: Address) -> bool:
    special = (
        address.is_private
        or not address.is_global
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
        or any(address.version == net.version and address in net for net in _SET_ASIDE)
    )
    if isinstance(address, IPv4Address) or special:
        return not special
    return address in _UNICAST and not any(address in net for net in _EMBEDDING)


class _Deadline:
    """When an exchange must be over; sockets know only how long each step may last."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._end = seconds, time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds; never less than what a socket takes for a limit."""
        return max(self._end - time.monotonic(), 0.001)

    def check(self) -> None:
        """Raises Unanswered once it is over."""
        if time.monotonic() >= self._end:
            raise Unanswered(f"no whole answer within {self.seconds:g} seconds")

    def within(self, work: Callable[[], list[tuple[str, int]]]) -> list[tuple[str, int]]:
        """What the resolver says, in time: it takes no limit itself, so a thread waits for it."""
        said: SimpleQueue[list[tuple[str, int]] | Exception] = SimpleQueue()

        def say() -> None:
            try:
                said.put(work())
            except (OSError, UnicodeError) as e:  # a label of a name may be too long
                said.put(e)

        Thread(target=say, daemon=True, name="resolve").start()
        try:
            found = said.get(timeout=self.left)
        except Empty:
            raise Unanswered(f"no whole answer within {self.seconds:g} seconds") from None
        if isinstance(found, Exception):
            raise Unanswered(f"the name cannot be resolved: {found}") from found
        return found

    @contextmanager
    def enforced(self, connected: socket.socket) -> Iterator[None]:
        """Ends the connection when it is over, however slowly bytes still come."""
        with connected.dup() as same:
            end = Timer(self.left, _shut, [same])
            end.daemon = True
            end.start()
            try:
                yield
            finally:
                end.cancel()
                end.join()


def _shut(connected: socket.socket) -> None:
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


@contextmanager
def _converted(deadline: _Deadline) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as e:
        deadline.check()
        raise Unanswered(f"{type(e).__name__}: {e}"[:300]) from e
    deadline.check()  # what ends with the connection may have been cut off by us


def _connection(parts: SplitResult, tls: ssl.SSLContext) -> http.client.HTTPConnection:
    """A connection that writes HTTP but never connects by itself."""
    connection = (
        http.client.HTTPSConnection(_host(parts), _port(parts), context=tls)
        if parts.scheme == "https"
        else http.client.HTTPConnection(_host(parts), _port(parts))
    )
    connection.auto_open = 0
    return connection


def _connect(addresses: list[tuple[str, int]], deadline: _Deadline) -> socket.socket:
    """Connected to the first of these addresses that listens."""
    failed: OSError = OSError("no address")
    for address, port in addresses:
        family = socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6
        connecting = socket.socket(family, socket.SOCK_STREAM)
        try:
            connecting.settimeout(deadline.left)
            connecting.connect((address, port))
        except OSError as e:
            connecting.close()
            failed = e
        else:
            return connecting
    raise failed


def _secured(connected: socket.socket, tls: ssl.SSLContext, host: str) -> socket.socket:
    """TLS over the connection, with the certificate of the name, not of the address."""
    return tls.wrap_socket(connected, server_hostname=host)


def _resolve(host: str, port: int) -> list[tuple[str, int]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(address[0]), int(address[1])) for *_, address in found]


def _host(parts: SplitResult) -> str:
    assert parts.hostname is not None, "checked when it was parsed"
    return parts.hostname


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _target(parts: SplitResult) -> str:
    path = parts.path or "/"
    return f"{path}?{parts.query}" if parts.query else path


def _literal(parts: SplitResult) -> bool:
    """Whether the host is an IPv6 address in brackets, without a zone."""
    try:
        IPv6Address(parts.hostname or "")
    except ValueError:
        return False
    return "%" not in (parts.hostname or "")
