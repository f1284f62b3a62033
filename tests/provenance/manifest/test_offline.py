"""Reading makes no network call: the kernel stands guard, and is seen to."""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from provenance.manifest.container import Kind
from provenance.manifest.write import sign
from provenance.manifest.xmp import embed_packet, format_packet
from provenance.pki import TEST_ORGANIZATION, issue_leaf
from tests.provenance.manifest.files import NOW, Authority, make_claim, picture, signer_of
from tests.provenance.manifest.offline import SOCKET

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in SOCKET, reason="needs Linux's seccomp"
)


def remote_file() -> bytes:
    link = "<dcterms:provenance>http://127.0.0.1:9/manifest</dcterms:provenance>"
    packet = format_packet(link, namespace="http://purl.org/dc/terms/", prefix="dcterms")
    return embed_packet(picture(Kind.JPEG), packet)


def run(folder: Path, files: list[bytes], *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.provenance.manifest.offline"]
    for number, data in enumerate(files):
        path = folder / str(number)
        path.write_bytes(data)
        command.append(str(path))
    return subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_reading_asks_for_no_socket(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(authority.anchors)
    leaf = issue_leaf(
        authority.root, TEST_ORGANIZATION, now=NOW, status_url="http://127.0.0.1:9/ocsp"
    )
    with_status = sign(picture(Kind.PNG), make_claim(), signer_of(leaf)).file
    files = [with_status, remote_file(), picture(Kind.WEBP)]
    done = run(tmp_path, files, "--anchors", str(tmp_path / "root.pem"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "trusted None",
        "invalid remote URL refused",
        "absent None",
    ]


def test_the_guard_catches_a_library_with_its_defaults(tmp_path: Path) -> None:
    assert run(tmp_path, [remote_file()]).returncode == -signal.SIGSYS
