"""Nothing is sent to where a caller must not reach, however its address is written."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provenance.outbound import (
    Outbound,
    Reach,
    Refused,
    Resolve,
    TooLong,
    Unanswered,
    check_public,
    parse_url,
)

HERE = "127.0.0.1"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[bytes]]]:
    """A server whose every connection is given to `serve`; its port, and what requests began."""
    seen: list[bytes] = []
    listener = socket.create_server((HERE, 0))
    listener.settimeout(10)

    def run() -> None:
        while True:
            try:
                connected, _ = listener.accept()
            except OSError:
                return
            with connected:
                connected.settimeout(10)
                try:
                    seen.append(connected.recv(65536))
                    serve(connected)
                except OSError:
                    continue

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def saying(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda connected: connected.sendall(answer)


def named(*addresses: str) -> Resolve:
    """A resolver that knows these addresses for every name."""
    return lambda host, port: [(one, port) for one in addresses]


def anywhere(seconds: float = 5, **more: object) -> Outbound:
    return Outbound(Reach.ANYWHERE, seconds, **more)  # type: ignore[arg-type]


def get(outbound: Outbound, url: str, most: int = 100) -> tuple[int, bytes]:
    with outbound.send("GET", url, headers={}) as answer:
        return answer.status, answer.read(most)


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111"])
def test_check_public_takes_the_internet(address: str) -> None:
    check_public("example.com", address)
    assert ip_address(address).is_global


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_check_public_refuses_all_else(address: str) -> None:
    with pytest.raises(Refused, match="not public"):
        check_public("example.com", address)


GOOD = "https://hooks.example.com:8443/path?query=1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "http://hooks.example.com/",
        "https://",
        "https:///path",
        "https://user@hooks.example.com/",
        "https://user:pass@hooks.example.com/",
        "https://@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com\\@evil.example/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nX: y",
        "https://hooks.example.com/\tx",
        "https://hooks.exämple.com/",
        "https://[::1/",
        "https://[fe80::1%251]/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:22/",
        "https://hooks.example.com:65536/",
        "https://hooks.example.com:x/",
        "https://-hooks/",
        "https://hooks.example.com/" + "a" * 2000,
    ],
)
def test_parse_url_refuses(url: str) -> None:
    assert parse_url(GOOD, Reach.PUBLIC).hostname == "hooks.example.com"
    with pytest.raises(Refused):
        parse_url(url, Reach.PUBLIC)


@pytest.mark.parametrize(
    "host", [HERE, "localhost", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_send_refuses_this_machine_however_it_is_written(host: str) -> None:
    with listening(saying(OK)) as (port, seen):
        with pytest.raises(Refused, match="not public"):
            get(Outbound(Reach.PUBLIC, 5), f"https://{host}:{port}/")
        assert seen == []


def test_send_refuses_a_name_of_which_one_address_is_private() -> None:
    outbound = Outbound(Reach.PUBLIC, 5, resolve=named("8.8.8.8", "10.0.0.1"))
    with pytest.raises(Refused, match=r"10\.0\.0\.1"):
        get(outbound, "https://mixed.example/")


def test_send_resolves_once_and_connects_to_what_it_checked() -> None:
    answers = [[HERE], ["192.0.2.1"]]
    with listening(saying(OK)) as (port, seen):
        outbound = anywhere(resolve=lambda host, port: [(one, port) for one in answers.pop(0)])
        assert get(outbound, f"http://changing.example:{port}/a?b") == (200, b"ok")
    assert len(answers) == 1
    assert seen[0].startswith(b"GET /a?b HTTP/1.1\r\nHost: changing.example:%d\r\n" % port)


def test_send_tries_the_next_address() -> None:
    with listening(saying(OK)) as (port, _):
        outbound = anywhere(resolve=named("127.0.0.9", HERE))
        assert get(outbound, f"http://two.example:{port}/") == (200, b"ok")


def test_send_says_that_a_name_is_unknown_or_nobody_listens() -> None:
    with pytest.raises(Unanswered, match="no address"):
        get(anywhere(resolve=named()), "http://none.example/")
    with pytest.raises(Unanswered, match="resolved"):
        get(anywhere(), f"http://{'a' * 70}.example/")
    with listening(saying(OK)) as (port, _):
        pass
    with pytest.raises(Unanswered, match="refused"):
        get(anywhere(), f"http://{HERE}:{port}/")


def test_send_follows_no_redirect() -> None:
    with listening(saying(OK)) as (target, followed):
        location = f"Location: http://{HERE}:{target}/\r\nContent-Length: 0\r\n\r\n"
        moved = saying(b"HTTP/1.1 302 Found\r\n" + location.encode())
        with listening(moved) as (port, _):
            assert get(anywhere(), f"http://{HERE}:{port}/") == (302, b"")
        assert followed == []


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_send_takes_no_part_for_an_answer(answer: bytes) -> None:
    with listening(saying(answer)) as (port, _), pytest.raises(Unanswered):
        get(anywhere(), f"http://{HERE}:{port}/")


def test_read_stops_at_the_limit() -> None:
    with listening(saying(OK)) as (port, _):
        assert get(anywhere(), f"http://{HERE}:{port}/", most=2) == (200, b"ok")
        with pytest.raises(TooLong):
            get(anywhere(), f"http://{HERE}:{port}/", most=1)
    endless = saying(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000)
    with listening(endless) as (port, _), pytest.raises(TooLong):
        get(anywhere(), f"http://{HERE}:{port}/", most=1000)


def _dripping(start: bytes) -> Callable[[socket.socket], None]:
    def serve(connected: socket.socket) -> None:
        connected.sendall(start)
        for _ in range(100):
            connected.sendall(b"x")
            time.sleep(0.1)

    return serve


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_send_ends_in_time_however_slowly_bytes_come(start: bytes) -> None:
    with listening(_dripping(start)) as (port, _):
        began = time.monotonic()
        with pytest.raises(Unanswered, match=r"within 0\.5 seconds"):
            get(anywhere(0.5), f"http://{HERE}:{port}/")
        assert time.monotonic() - began < 3


def test_send_does_not_wait_for_a_resolver() -> None:
    def slow(host: str, port: int) -> list[tuple[str, int]]:
        time.sleep(3)
        return []

    began = time.monotonic()
    with pytest.raises(Unanswered, match=r"within 0\.3 seconds"):
        get(anywhere(0.3, resolve=slow), "http://slow.example/")
    assert time.monotonic() - began < 2


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's side of a self-signed certificate of a name, and that of who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "server.pem").write_bytes(pem + secret)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


def test_send_asks_for_the_certificate_of_the_name(tmp_path: Path) -> None:
    server, trusting = certificate(tmp_path, "hooks.example")

    @contextmanager
    def secured() -> Iterator[int]:
        listener = socket.create_server((HERE, 0))

        def run() -> None:
            connected, _ = listener.accept()
            try:
                with server.wrap_socket(connected, server_side=True) as secure:
                    secure.recv(65536)
                    secure.sendall(OK)
            except OSError:
                return
            finally:
                connected.close()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
        listener.close()

    with secured() as port:
        outbound = anywhere(tls=trusting, resolve=named(HERE))
        assert get(outbound, f"https://hooks.example:{port}/") == (200, b"ok")
    with secured() as port, pytest.raises(Unanswered, match="certificate"):
        get(outbound, f"https://other.example:{port}/")
    with secured() as port, pytest.raises(Unanswered, match="certificate"):
        get(anywhere(resolve=named(HERE)), f"https://hooks.example:{port}/")
