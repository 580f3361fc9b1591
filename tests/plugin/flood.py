# SPDX-License-Identifier: Apache-2.0
"""Clients that only hold on to the HTTP port: what they cost, and who is answered meanwhile."""
import multiprocessing
import os
import re
import resource
import select
import socket
import statistics
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor

from lib.tap import Tap
from lib.wait import wait_until

from harness import DEADLINE, Node, cpu_seconds, resident_kib

WINDOW = 2.0  # seconds that a flood goes on
UNFINISHED = b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 7000


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Flood:
    """@n clients at a time that send @data and then nothing; who is dropped comes back."""

    def __init__(self, port: int, n: int, data: bytes):
        self.port, self.n, self.data = port, n, data
        self.clients: dict[int, socket.socket] = {}
        self.poll = select.poll()
        self.connected = 0

    def __enter__(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.limit = (soft, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, self.n + 512), max(hard, self.n + 512)))
        return self

    def __exit__(self, *_):
        for s in self.clients.values():
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, self.limit)

    def fill(self, at_most: int) -> None:
        for _ in range(min(at_most, self.n - len(self.clients))):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.port))
            self.clients[s.fileno()] = s
            self.poll.register(s, select.POLLOUT | select.POLLIN)

    def turn(self) -> None:
        for fd, events in self.poll.poll(10):
            s = self.clients[fd]
            if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self.poll.unregister(s)
                del self.clients[fd]
                s.close()
                continue
            self.connected += 1
            try:
                s.send(self.data)
            except OSError:
                pass  # dropped already: the next turn sees that
            self.poll.modify(s, select.POLLIN)
        self.fill(200)


def healthy(port: int) -> float:
    """Seconds that a new client waits for its answer."""
    start = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=DEADLINE) as f:
        assert f.read() == b"ok\n"
    return time.monotonic() - start


def open_files(p) -> int:
    return len(os.listdir(f"/proc/{p.pid}/fd"))


def flooded(t: Tap, n: Node, p, port: int, what: str, clients: int, data: bytes) -> None:
    waits: list[float] = []
    resident, logged, files = resident_kib(p), n.log.stat().st_size, open_files(p)
    # A process of its own, started before the flood's sockets are there to be inherited.
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
    with pool, Flood(port, clients, data) as flood:
        pool.submit(healthy, port).result()
        while len(flood.clients) < clients:
            flood.turn()
        cpu, connected, started = cpu_seconds(p), flood.connected, time.monotonic()
        while time.monotonic() - started < WINDOW:
            client = pool.submit(healthy, port)
            while not client.done():
                flood.turn()
            waits.append(client.result())
        share = (cpu_seconds(p) - cpu) / (time.monotonic() - started)
        grown, more = resident_kib(p) - resident, n.log.stat().st_size - logged
        most = open_files(p) - files
        # Those that are dropped come back at once, so a server that serves none would see more of them.
        t.ok(flood.connected >= clients, f"control: {flood.connected} connections of {what} were made, "
             f"{flood.connected - connected} of them while it was measured")
    t.ok(share < 0.15, f"{what}: {share:.1%} of a CPU of 15%")
    t.ok(grown <= 4096, f"{what}: {grown} KiB more memory of 4096")
    t.ok(most <= 256, f"{what}: {most} connections are held of 256")
    t.ok(more < 4096, f"{what}: {more} bytes of log of 4096")
    # One whose SYN finds the backlog full tries again after a second: TCP, not us.
    t.ok(statistics.median(waits) < 5, f"{what}: each of {len(waits)} new clients is answered, after {min(waits) * 1e3:.0f} to "
         f"{max(waits) * 1e3:.0f} ms", waits)
    wait_until(lambda: open_files(p) <= files, "the connections' end")
    t.ok(min(healthy(port) for _ in range(5)) < 1, f"{what}: and served as before when it is over")


def idle(t: Tap) -> None:
    port = free_port()
    with Node() as n:
        p = n.start("--listen", f"127.0.0.1:{port}")
        flooded(t, n, p, port, "1500 clients that say nothing", 1500, b"")
        flooded(t, n, p, port, "2000 unfinished headers", 2000, UNFINISHED)
    with Node() as n:
        p = n.spawn("--listen", f"127.0.0.1:{port}",
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
        n.connect()
        flooded(t, n, p, port, "1500 clients and 256 descriptors", 1500, b"")


def no_descriptors(t: Tap) -> None:
    """accept() fails: the listener stays readable all the time."""
    port = free_port()
    with Node() as n:
        p = n.start("--listen", f"127.0.0.1:{port}")
        few = open_files(p) + 8
        resource.prlimit(p.pid, resource.RLIMIT_NOFILE, (few, few))
        flooded(t, n, p, port, "100 clients and 8 free descriptors", 100, b"")
        told = n.entries("http-waits", level="warn")
        t.ok(len(told) == 1 and "Too many open files" in told[0]["error"], "that nothing can be accepted is said once", told)
        t.ok(n.call("create arg=sh")["ok"], "and the runtime is served all the while")


def slow(t: Tap) -> None:
    """Bytes that keep coming do not keep a connection."""
    port = free_port()
    with Node() as n:
        n.start("--listen", f"127.0.0.1:{port}")
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
            while not select.select([s], [], [], 0.1)[0] and time.monotonic() - start < DEADLINE:
                s.sendall(b"x")
        took = time.monotonic() - start
        t.ok(4 < took < DEADLINE, f"a request that is never complete ends after {took:.1f} s, not before 5")
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 3)
            answer = b"".join(iter(lambda: s.recv(65536), b""))
        t.equal((answer.count(b"HTTP/1.1 200"), b"Connection: close" in answer), (1, True),
                "one request is answered for a connection")
        length = int(re.search(rb"Content-Length: (\d+)", answer)[1])
        t.equal(len(answer.split(b"\r\n\r\n", 1)[1]), length, "completely")
