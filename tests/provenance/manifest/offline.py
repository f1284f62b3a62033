"""Read files in a process that the kernel kills if it asks for a socket, in Python or below it.

    python -m tests.provenance.manifest.offline FILE... --anchors ROOT.pem   as `read` does
    python -m tests.provenance.manifest.offline FILE                          with default settings

A seccomp filter (Linux, x86-64 and AArch64) stands in front of socket(2); the canaries, which need
the loopback, run before it does.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import struct
from datetime import UTC, datetime
from pathlib import Path

from provenance.manifest.official import Library
from provenance.manifest.read import open_trust, read

SOCKET = {"x86_64": 41, "aarch64": 198}  # the number of socket(2)
NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
KILL, ALLOW = 0x80000000, 0x7FFF0000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_sockets() -> None:
    """From now on the first call of socket(2) ends the process by SIGSYS."""
    steps = [
        (LOAD, 0, 0, 0),
        (JUMP_IF_EQUAL, 0, 1, SOCKET[platform.machine()]),
        (RETURN, 0, 0, KILL),
        (RETURN, 0, 0, ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((NO_NEW_PRIVILEGES, 1, 0), (SET_SECCOMP, FILTER, ctypes.byref(program))):
        if libc.prctl(*arguments, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--anchors", type=Path)
    options = parser.parse_args()
    files, now = [file.read_bytes() for file in options.files], datetime.now(UTC)
    if options.anchors is None:
        careless = Library({})
        forbid_sockets()
        careless.judge(files[0])
        return
    trust = open_trust(options.anchors.read_bytes(), now=now)
    forbid_sockets()
    for data in files:
        found = read(data, trust, now=now)
        print(found.state, found.reason)  # noqa: T201


if __name__ == "__main__":
    main()
