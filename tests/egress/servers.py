# SPDX-License-Identifier: Apache-2.0
"""What the broker talks to in these tests: a name server whose answers a test chooses, and origins, which are
HTTP servers with TLS or without that keep what they were sent."""
import base64
import hashlib
import json
import socket
import ssl
import struct
import threading
import time

TYPES = {1: socket.AF_INET, 28: socket.AF_INET6}


class Names:
    """A name server on 127.0.0.1.  names[NAME] is a list of addresses, or a list of such lists that are given in
    turn; a str is an alias; an int an error code.  What is not there does not exist."""

    def __init__(self) -> None:
        self.names: dict = {}
        self.asked: list[tuple[str, int, str]] = []  # name, type, "udp" or "tcp"
        self.ttl = 0
        self.cut = False  # answers by UDP are cut
        self.silent = False
        self.turn: dict = {}
        while True:  # one port of both kinds
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            try:
                self.tcp = socket.create_server(self.udp.getsockname())
                break
            except OSError:
                self.udp.close()
        self.address = "127.0.0.1:%d" % self.udp.getsockname()[1]
        for target in (self._udp, self._tcp):
            threading.Thread(target=target, daemon=True).start()

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()

    def _udp(self) -> None:
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
                if not self.silent:
                    self.udp.sendto(self.answer(query, "udp"), peer)
            except OSError:
                return

    def _tcp(self) -> None:
        while True:
            try:
                c, _ = self.tcp.accept()
            except OSError:
                return
            with c, c.makefile("rwb") as f:
                while head := f.read(2):
                    a = self.answer(f.read(struct.unpack("!H", head)[0]), "tcp")
                    f.write(struct.pack("!H", len(a)) + a)
                    f.flush()

    def answer(self, query: bytes, how: str) -> bytes:
        at, labels = 12, []
        while n := query[at]:
            labels.append(query[at + 1:at + 1 + n].decode())
            at += n + 1
        kind, = struct.unpack("!H", query[at + 1:at + 3])
        question, name = query[12:at + 5], ".".join(labels)
        self.asked.append((name, kind, how))
        records, code, flags = [], 0, 0x8180
        if how == "udp" and self.cut:
            flags |= 0x200
        else:
            owner, value = b"\xc0\x0c", self.names.get(name, 3)
            while isinstance(value, str):
                to = encode(value)
                records.append(owner + struct.pack("!HHIH", 5, 1, self.ttl, len(to)) + to)
                owner, value = to, self.names.get(value, 3)
            if isinstance(value, int):
                code, value = value, []
            if value and isinstance(value[0], list):
                turn = self.turn.get((name, kind), 0)
                self.turn[name, kind] = turn + 1
                value = value[min(turn, len(value) - 1)]
            for a in value:
                family = socket.AF_INET6 if ":" in a else socket.AF_INET
                if TYPES.get(kind) == family:
                    data = socket.inet_pton(family, a)
                    records.append(owner + struct.pack("!HHIH", kind, 1, self.ttl, len(data)) + data)
        return query[:2] + struct.pack("!HHHHH", flags | code, 1, len(records), 0, 0) + question + b"".join(records)


def encode(name: str) -> bytes:
    return b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"


class Closed(Exception):
    pass


class Stream:
    """A connection that is read by lines and by length."""

    def __init__(self, c: socket.socket) -> None:
        self.c, self.buf = c, b""

    def more(self) -> None:
        part = self.c.recv(65536)
        if not part:
            raise Closed(self.buf)
        self.buf += part

    def until(self, end: bytes) -> bytes:
        while end not in self.buf:
            self.more()
        part, _, self.buf = self.buf.partition(end)
        return part + end

    def exactly(self, n: int) -> bytes:
        while len(self.buf) < n:
            self.more()
        part, self.buf = self.buf[:n], self.buf[n:]
        return part

    def chunks(self) -> bytes:
        body = b""
        while n := int(self.until(b"\r\n").split(b";")[0], 16):
            body += self.exactly(n)
            self.exactly(2)
        while self.until(b"\r\n") != b"\r\n":
            pass
        return body

    def message(self, head: bytes, answer: bool = False) -> bytes:
        """The body behind @head."""
        fields = parse(head)[1]
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return self.chunks()
        if "content-length" in fields:
            return self.exactly(int(fields["content-length"]))
        if answer:
            try:
                while True:
                    self.more()
            except Closed:
                pass
            return self.exactly(len(self.buf))
        return b""


def parse(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    return first, {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines if ":" in line)}


class Origin:
    """An HTTP server.  @requests has the head and the body of each request; what it answers depends on the path."""

    def __init__(self, certificate=None, raw: bytes = b"") -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self.raw = raw  # what "/raw" answers
        self.gate = threading.Semaphore(0)  # "/events" waits here between two
        self.hold = threading.Event()  # "/hold" waits here
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
            self.context.set_alpn_protocols(["http/1.1"])
        self.listener = socket.create_server(("", 0), backlog=1024)  # all of 127.0.0.0/8
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listener.close()
        self.hold.set()

    def _accept(self) -> None:
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    def _serve(self, c: socket.socket) -> None:
        try:
            if self.context:
                c = self.context.wrap_socket(c, server_side=True)
            with c:
                s = Stream(c)
                while True:
                    head = s.until(b"\r\n\r\n")
                    first, fields = parse(head)
                    if fields.get("expect") == "100-continue":
                        c.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    path = first.split(" ")[1]
                    early = path.startswith("/early")
                    body = b"" if early else s.message(head)
                    self.requests.append((head, body))
                    if not self.answer(c, s, path, first.split(" ")[0], fields, head, body) or early:
                        return
        except (OSError, Closed, ValueError):
            pass

    def answer(self, c, s, path: str, method: str, fields: dict, head: bytes, body: bytes) -> bool:
        where = path.split("?")[0]
        if where == "/raw":
            c.sendall(self.raw)
            return False
        if where == "/close":
            c.sendall(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
            return False
        if where.startswith("/early"):
            c.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly")
            c.shutdown(socket.SHUT_WR)
            while c.recv(65536):
                pass
            return False
        if where == "/hold":
            self.hold.wait(60)
        if where == "/events":
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            for i in range(3):
                event = b"data: %d\n\n" % i
                c.sendall(b"%x\r\n%s\r\n" % (len(event), event))
                self.gate.acquire(timeout=60)
            c.sendall(b"0\r\n\r\n")
            return True
        if where == "/socket":
            key = fields["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key).digest())
            c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
            while True:
                while not s.buf:
                    s.more()
                part, s.buf = s.buf, b""
                c.sendall(b"echo " + part)
        if where == "/big":
            n = int(path.split("?")[1])
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % n)
            block = bytes(65536)
            while n:
                n -= c.send(block[:min(n, len(block))])
            return True
        text = json.dumps({"head": head.decode("latin-1"), "body": hashlib.sha256(body).hexdigest(), "n": len(body)}).encode()
        if where == "/none":
            c.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif where == "/chunked":
            c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x;x=y\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(text), text))
        else:
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + (b"" if method == "HEAD" else text))
        return True


def wait_for(condition, seconds: float = 60.0):
    """The first true answer, or the last."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return value
