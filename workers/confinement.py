"""Giving up what a process that reads strangers' files does not need, for good.

On Linux, without privileges: no sockets, no programs, no other processes (seccomp); no more memory
than is granted (RLIMIT_AS), no large files written, no core dump; and where the kernel has Landlock
no file outside the program itself. `confine` raises Unconfined if one of the first cannot be had.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2  # prctl(2)
_LANDLOCK = (444, 445, 446)  # create_ruleset, add_rule, restrict_self: the same on both machines
_LOAD, _EQUAL, _FROM, _ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # classic BPF
_ERROR = 0x00050000
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, _ERROR | errno.EPERM
_UNKNOWN = _ERROR | errno.ENOSYS  # of clone3, whose flags a filter cannot see: libc asks clone
_CLONE3, _THREAD = 435, 1 << 16
_X32 = 0x40000000  # a second numbering of the same calls on x86-64
_READ_FILE, _READ_FOLDER, _EXECUTE = 1 << 2, 1 << 3, 1 << 0
_EVERY_RIGHT = (1 << 13) - 1  # those that the first version of Landlock knows
_WRITTEN = 1 << 20  # bytes a file: there is nothing to write but to pipes

# Audit's name of the machine; the number of clone, which may start threads and no processes; and
# the calls that are refused: socket, connect, accept, bind, listen, accept4, fork, vfork, execve,
# execveat, kill, tkill, tgkill, ptrace, process_vm_readv, process_vm_writev, setns, unshare, mount,
# bpf, userfaultfd, keyctl, io_uring_setup, which could do all of it unseen, and pidfd_open.
_MACHINES: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        56,
        (41, 42, 43, 49, 50, 288, 57, 58, 59, 322, 62, 200, 234, 101, 310, 311)
        + (308, 272, 165, 321, 323, 250, 425, 434),
    ),
    "aarch64": (
        0xC00000B7,
        220,
        (198, 203, 202, 200, 201, 242, 221, 281, 129, 130, 131, 117, 270, 271)
        + (268, 97, 40, 280, 282, 219, 425, 434),
    ),
}


class Unconfined(RuntimeError):
    """This machine cannot hold a process back, so no stranger's file is read on it."""


def confine(*, memory: int, readable: Sequence[Path]) -> bool:
    """From now on this process has `memory` bytes more than it ever had, and reads only there.

    Whether files are held back too, which older kernels cannot.
    """
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        raise Unconfined(f"no way to confine a process on {sys.platform} {platform.machine()}")
    limit = _peak() + memory
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_WRITTEN, _WRITTEN))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise Unconfined("the kernel does not take new privileges away")
    files = _hold_files(libc, readable)
    _refuse_calls(libc)
    return files


def limit_cpu(seconds: int) -> None:
    """This process is ended by SIGXCPU after so many more seconds of processor time."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(usage.ru_utime + usage.ru_stime) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds, hard))


def _peak() -> int:
    """The most bytes of addresses that this process ever had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmPeak:"))
    return int(line.split()[1]) << 10


def _refuse_calls(libc: ctypes.CDLL) -> None:
    audit, clone, refused = _MACHINES[platform.machine()]
    count = len(refused)
    # Each step: what to do, how many steps to skip if so and if not, and with what.
    steps = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, audit), (_RETURN, 0, 0, _KILL)]
    steps += [(_LOAD, 0, 0, 0), (_FROM, count + 5, 0, _X32)]
    steps += [(_EQUAL, count + 4 - n, 0, call) for n, call in enumerate(refused)]
    steps += [(_EQUAL, 5, 0, _CLONE3), (_EQUAL, 0, 2, clone)]
    steps += [(_LOAD, 0, 0, 16), (_ANY, 0, 1, _THREAD)]
    steps += [(_RETURN, 0, 0, what) for what in (_ALLOW, _REFUSE, _UNKNOWN)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    where = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    program = ctypes.create_string_buffer(where)
    if libc.prctl(_SECCOMP, _FILTER, program, 0, 0) != 0:
        raise Unconfined(f"no system call filter: {os.strerror(ctypes.get_errno())}")


def _hold_files(libc: ctypes.CDLL, readable: Sequence[Path]) -> bool:
    create, add, restrict = _LANDLOCK
    rules = ctypes.create_string_buffer(struct.pack("Q", _EVERY_RIGHT))
    ruleset = libc.syscall(create, rules, ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    try:
        for folder in readable:
            if not folder.is_dir():
                continue
            place = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            try:
                rights = _READ_FILE | _READ_FOLDER | _EXECUTE
                rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place))
                if libc.syscall(add, ruleset, 1, rule, 0) != 0:
                    raise Unconfined(f"{folder}: {os.strerror(ctypes.get_errno())}")
            finally:
                os.close(place)
        if libc.syscall(restrict, ruleset, 0) != 0:
            raise Unconfined(f"files not held back: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)
    return True
