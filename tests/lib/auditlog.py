# SPDX-License-Identifier: Apache-2.0
"""The kernel's audit log, for tests: there is one for the whole machine.

    with auditlog.ours():               # as it was afterwards; others who want it wait
        ...
    with auditlog.log() as reader:      # turned on; records, beside whoever else reads them
        auditlog.records(reader, until, seconds)
"""
import contextlib
import fcntl
import os
import socket
import struct
import time

NETLINK_AUDIT, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, READLOG = 9, 270, 1, 1
AUDIT_GET, AUDIT_SET = 1000, 1001
ENABLED, BACKLOG_LIMIT, BACKLOG_WAIT = 1, 0x10, 0x20  # bits of struct audit_status' mask
CONFIG_CHANGE, SECCOMP, LANDLOCK_ACCESS, LANDLOCK_DOMAIN = 1305, 1326, 1423, 1424
NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR = 1, 4, 2
LOCK = "/tmp/kubefence-test-audit.lock"


class Unavailable(Exception):
    """This machine's audit log cannot be used."""


def request(kind: int, body: bytes = b"") -> bytes:
    """What the kernel answers to one message; b"" for a plain acknowledgement."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT) as s:
        s.settimeout(5)
        s.sendto(struct.pack("=IHHII", 16 + len(body), kind, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body, (0, 0))
        while True:
            data = s.recv(65536)
            _, got, _, _, _ = struct.unpack_from("=IHHII", data)
            if got == kind:
                return data[16:]
            if got == NLMSG_ERROR:
                error = struct.unpack_from("=i", data, 16)[0]
                if error:
                    raise OSError(-error, os.strerror(-error))
                if kind != AUDIT_GET:
                    return b""


def status() -> dict:
    _, enabled, _, pid, _, limit, lost, backlog, _, wait, waited = struct.unpack_from("=11I", request(AUDIT_GET))
    return {"enabled": enabled, "pid": pid, "limit": limit, "lost": lost, "backlog": backlog, "wait": wait, "waited": waited}


def set_status(enabled: int, limit: int, wait: int) -> None:
    request(AUDIT_SET, struct.pack("=10I", ENABLED | BACKLOG_LIMIT | BACKLOG_WAIT, enabled, 0, 0, 0, limit, 0, 0, 0, wait))


@contextlib.contextmanager
def ours():
    """The log is this test's alone, turned off or as others left it, and put back afterwards."""
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            before = status()
        except OSError as e:
            raise Unavailable(f"no access to the audit log: {e}") from e
        if before["enabled"] == 2:
            raise Unavailable("the audit configuration is locked until the next boot")
        try:
            yield before
        finally:
            set_status(before["enabled"], before["limit"], before["wait"])


@contextlib.contextmanager
def log():
    """A socket that receives the log, which is turned on and proved to arrive."""
    with ours() as before:
        try:
            reader = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT)
            reader.bind((0, 0))
            reader.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, READLOG)
        except OSError as e:
            raise Unavailable(f"no access to the audit log: {e}") from e
        with reader:
            reader.settimeout(1)
            # The second is logged itself, though it changes nothing: the proof that a record that is missing is the sandbox's fault.
            for _ in range(2):
                set_status(1, before["limit"], before["wait"])
            if not any(kind == CONFIG_CHANGE for kind, _ in records(reader, lambda r: r[0] == CONFIG_CHANGE, 60)):
                raise Unavailable("no record arrives at all: something else on this machine takes or silences them")
            yield reader


def records(reader: socket.socket, until, seconds: float) -> list[tuple[int, str]]:
    """What arrives until a record satisfies @until, for at most that long."""
    got = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            data = reader.recv(65536)
        except TimeoutError:
            continue
        kind = struct.unpack_from("=IH", data)[1]
        got.append((kind, data[16:].decode(errors="replace").rstrip("\0")))
        if until(got[-1]):
            break
    return got
