# SPDX-License-Identifier: Apache-2.0
"""What the broker costs: a request of a route beside one through a proxy that only adds TLS, and a tunnel beside none."""
import os
import socket
import ssl
import statistics
import subprocess
import time

from harness import Broker, Place
from lib import build
from lib.tap import Tap

REQUESTS, ROUNDS = 1000, 8
BULK = 100_000_000
TARGET = "tests/egress/egress_reference"


def start(*words) -> tuple[subprocess.Popen, int]:
    p = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True)
    return p, int(p.stdout.readline())


def receive(c, n: int, view: memoryview) -> None:
    while n:
        got = c.recv_into(view, min(n, len(view)))
        if not got:
            raise RuntimeError("the connection ended")
        n -= got


class Client:
    """One connection, for requests one after the other."""

    def __init__(self, c, prefix: str, host: str) -> None:
        self.c, self.prefix, self.host = c, prefix, host
        self.view = memoryview(bytearray(1 << 20))

    def get(self, n: int) -> None:
        self.c.sendall(f"GET {self.prefix}/{n} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        head = self.c.recv(65536)
        _, _, body = head.partition(b"\r\n\r\n")
        receive(self.c, n - len(body), self.view)

    def latency(self) -> float:
        """The median of some requests, in microseconds."""
        times = []
        for _ in range(REQUESTS):
            begin = time.perf_counter()
            self.get(100)
            times.append(time.perf_counter() - begin)
        return statistics.median(times) * 1e6

    def throughput(self) -> float:
        begin = time.perf_counter()
        self.get(BULK)
        return BULK / (time.perf_counter() - begin) / 1e6


def connect(port: int) -> socket.socket:
    c = socket.create_connection(("127.0.0.1", port))
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return c


def compare(t: Tap, clients: dict[str, Client]) -> dict[str, tuple[float, float]]:
    """Latency and throughput of each, the best of some rounds that take turns."""
    best = {name: (1e9, 0.0) for name in clients}
    for _ in range(ROUNDS):
        for name, c in clients.items():
            best[name] = (min(best[name][0], c.latency()), max(best[name][1], c.throughput()))
    for name, (latency, throughput) in best.items():
        print(f"# {name}: p50 {latency:.0f} us, {throughput:.0f} MB/s", flush=True)
    return best


def main() -> int:
    reference = build.meson("tests", TARGET) / TARGET
    t, running = Tap(), []
    with Place() as place:
        try:
            origin, port = start(reference, "origin", place.dir / "server.pem")
            running.append(origin)
            proxy, proxy_port = start(reference, "proxy", port)
            running.append(proxy)
            rules = place.rules(f"host ok.test {port}", f"route /bench https://api.test:{port}", "credential 0 key x-api-key plain")
            with Broker(place, rules) as b:
                context = ssl.create_default_context(cafile=place.dir / "ca.pem")
                tunnel, _ = b.tunnel("ok.test", port)
                got = compare(t, {
                    "direct": Client(context.wrap_socket(connect(port), server_hostname="ok.test"), "", "ok.test"),
                    "tunnel": Client(context.wrap_socket(tunnel, server_hostname="ok.test"), "", "ok.test"),
                    "proxy": Client(connect(proxy_port), "", "ok.test"),
                    "route": Client(connect(b.port), "/bench", b.url[7:]),
                })
            for name, beside in (("route", "proxy"), ("tunnel", "direct")):
                added = got[name][0] - got[beside][0]
                t.ok(added <= 150, f"a {name} adds {added:.0f} us to a request beside {beside}, at most 150", got)
            ratio = got["route"][1] / got["proxy"][1]
            t.ok(ratio >= 0.9, f"a route has {ratio:.2f} of the proxy's throughput, at least 0.9", got)
        finally:
            for p in running:
                os.kill(p.pid, 9)
                p.wait()
    return t.done()
