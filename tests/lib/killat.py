#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""killat.py PID N: SIGKILL a process at the Nth system call stop (entry or exit) after now.

Traces PID, prints "ready" once it is at rest in its event loop, and kills it at
the Nth stop from there: N = 1, 2, 3 ... until the process survives covers every
point of whatever it is asked to do meanwhile.  Ends with the process, or when
its own caller kills it (the process then runs on, untraced).
"""
import ctypes
import os
import signal
import sys

SEIZE, INTERRUPT, SYSCALL, GET_SYSCALL_INFO = 0x4206, 0x4207, 24, 0x420E
OPTIONS = 1 | 8  # TRACESYSGOOD, TRACECLONE
WALL = 0x40000000
ENTRY = 1
RESTS = (7, 232, 281, 441, 270)  # poll, epoll_wait, epoll_pwait, epoll_pwait2, pselect6 of x86-64
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class Info(ctypes.Structure):
    _fields_ = [
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64),
        ("nr", ctypes.c_uint64),
        ("args", ctypes.c_uint64 * 6),
    ]


def ptrace(request: int, pid: int, addr=None, data=None) -> int:
    result = libc.ptrace(request, pid, addr, data)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")
    return result


def main() -> int:
    pid, n = int(sys.argv[1]), int(sys.argv[2])
    ptrace(SEIZE, pid, None, OPTIONS)
    ptrace(INTERRUPT, pid)
    stops, at_rest = 0, False
    while True:
        tid, status = os.waitpid(-1, WALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if tid == pid:
                return 0
            continue
        sig = 0
        if os.WSTOPSIG(status) == signal.SIGTRAP | 0x80:
            if at_rest:
                stops += 1
                if stops == n:
                    os.kill(pid, signal.SIGKILL)
            elif tid == pid:
                info = Info()
                ptrace(GET_SYSCALL_INFO, tid, ctypes.sizeof(info), ctypes.addressof(info))
                if info.op == ENTRY and info.nr in RESTS:
                    at_rest = True
                    print("ready", flush=True)
        elif status >> 16 == 0 and os.WSTOPSIG(status) != signal.SIGTRAP:
            sig = os.WSTOPSIG(status)  # a signal of its own: pass it on
        try:
            ptrace(SYSCALL, tid, None, sig)
        except OSError:
            pass  # killed meanwhile


sys.exit(main())
