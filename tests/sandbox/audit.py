# SPDX-License-Identifier: Apache-2.0
"""What the sandbox refuses to a workload is in the kernel's audit log, and what is not refused is not.

Records are read from the log's multicast group, which disturbs no audit daemon; the log is turned on for the test and put back."""
import contextlib
import os
import re
import socket
import struct
import time

import box
from wait import DEADLINE

NETLINK_AUDIT, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, READLOG = 9, 270, 1, 1
AUDIT_GET, AUDIT_SET, STATUS_ENABLED = 1000, 1001, 1
CONFIG_CHANGE, LANDLOCK_ACCESS, LANDLOCK_DOMAIN = 1305, 1423, 1424
NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR = 1, 4, 2


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


def set_enabled(value: int) -> None:
    request(AUDIT_SET, struct.pack("=10I", STATUS_ENABLED, value, *([0] * 8)))


@contextlib.contextmanager
def log():
    """A socket that receives the log."""
    try:
        enabled = struct.unpack_from("=2I", request(AUDIT_GET))[1]
        if enabled == 2:
            raise Unavailable("the audit configuration is locked until the next boot")
        reader = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_AUDIT)
        reader.bind((0, 0))
        reader.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, READLOG)
    except OSError as e:
        raise Unavailable(f"no access to the audit log: {e}") from e
    with reader:
        reader.settimeout(1)
        try:
            # The second is logged itself, though it changes nothing: the proof that a record that is missing is the sandbox's fault.
            set_enabled(1)
            set_enabled(1)
            if not any(kind == CONFIG_CHANGE for kind, _ in records(reader, lambda r: r[0] == CONFIG_CHANGE, DEADLINE)):
                raise Unavailable("no record arrives at all: something else on this machine takes or silences them")
            yield reader
        finally:
            if not enabled:
                set_enabled(0)


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


def run(t) -> None:
    if box.landlock_abi() < 7:
        t.skip("audit records of denials", "the kernel's Landlock logs none (ABI 7, Linux 6.15, does)")
        return
    try:
        with log() as reader, box.Box() as b:
            os.makedirs(f"{b.rootfs}/root/.ssh")
            inode = {}
            for name in ("root/.ssh/control", "root/.ssh/denied", "etc/control", "etc/denied"):
                with open(f"{b.rootfs}/{name}", "w") as f:
                    f.write("x\n")
                inode[name] = os.stat(f.name).st_ino
            b.start()
            script = "cat /root/.ssh/%s; echo y >>/etc/%s; cat /etc/hosts"
            p = b.exec(["sh", "-c", script % ("control", "control")])
            t.equal((p.stdout, p.stderr), ("x\n127.0.0.1 localhost\n", ""), "control: without a sandbox nothing is refused")
            p = b.exec(["sh", "-c", script % ("denied", "denied")], profile="default")
            t.equal((p.stdout, p.stderr.count("ermission denied")), ("127.0.0.1 localhost\n", 2), "the sandbox refuses a read and a write")

            def about(name):
                return lambda r: r[0] == LANDLOCK_ACCESS and re.search(rf"\bino={inode[name]}\b", r[1])

            got = records(reader, about("etc/denied"), DEADLINE)
            for name, blocker in (("root/.ssh/denied", "fs.read_file"), ("etc/denied", "fs.write_file")):
                found = [text for kind, text in got if about(name)((kind, text))]
                t.ok(len(found) == 1 and f"blockers={blocker}" in found[0], f"one record says that {blocker} on /{name} was refused", got)
            t.ok(any(kind == LANDLOCK_DOMAIN and "status=allocated mode=enforcing" in text for kind, text in got), "and one says which domain did it", got)
            t.equal([text for kind, text in got if about("root/.ssh/control")((kind, text)) or about("etc/control")((kind, text))], [],
                    "control: what was not refused is not in the log")
            hosts = os.stat(f"{b.rootfs}/etc/hosts").st_ino
            t.equal([text for kind, text in got if kind == LANDLOCK_ACCESS and f"ino={hosts}" in text], [], "nor what the sandbox allows")
    except Unavailable as e:
        t.skip("audit records of denials", str(e))
