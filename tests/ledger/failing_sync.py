"""A disk that fails to sync: the kernel itself refuses it to one thread, for one file (seccomp, Linux)."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from pathlib import Path

_SYNCS = {"x86_64": (74, 75), "aarch64": (82, 83)}
"""fsync and fdatasync, by machine."""
CAN_REFUSE = sys.platform == "linux" and platform.machine() in _SYNCS
_NO_NEW_PRIVS, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _JUMP_IF, _RETURN = 0x20, 0x15, 0x06
_NUMBER, _FIRST_ARGUMENT = 0, 16
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def fail_syncs_of(descriptor: int) -> None:
    """From now on, and for as long as the running thread lives, its syncs of this descriptor fail with EIO."""
    sync, datasync = _SYNCS[platform.machine()]
    rules = (
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF, 1, 0, sync),
        (_JUMP_IF, 0, 3, datasync),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_IF, 0, 1, descriptor),
        (_RETURN, 0, 0, _ERRNO | errno.EIO),
        (_RETURN, 0, 0, _ALLOW),
    )
    program = _Program(len(rules), b"".join(struct.pack("=HBBI", *rule) for rule in rules))
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_NO_NEW_PRIVS, 1), (_SECCOMP, _FILTER)):
        if libc.prctl(option, value, ctypes.byref(program) if option == _SECCOMP else 0, 0, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def descriptors_of(path: Path) -> list[int]:
    """Those of this process that are open on the file."""
    wanted = path.stat()
    found = []
    for open_ in Path("/proc/self/fd").iterdir():
        try:
            there = os.fstat(int(open_.name))
        except OSError:
            continue
        if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
            found.append(int(open_.name))
    return found
