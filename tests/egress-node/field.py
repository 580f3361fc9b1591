# SPDX-License-Identifier: Apache-2.0
"""A node's network in small: a pod's namespace, and behind a veth an "internet" with a name server, a TLS origin, a
plain one, UDP and a list of whatever frame came from the pod.  And the broker's parent.

    own_place()                       # this process's own /run/kubefence and /run/netns
    with Field() as f:                # f.pod("a") makes a pod's namespace
        parent = Parent(f); pod = f.pod("a"); parent.open(pod, rules)
"""
import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "egress")]
from harness import certificates  # noqa: E402
from lib.wait import wait_until  # noqa: E402
from servers import Names, Origin, Stream  # noqa: E402

BIN = Path(os.environ.get("KUBEFENCE_BIN") or ROOT / "out/bin")
BROKER = BIN / "nono-egress"
DIR = Path("/run/kubefence/egress")
INTERNET, OTHER, INTERNET6, DNS = "203.0.114.10", "203.0.114.20", "2a00:1::10", "10.96.0.10"
PORT = 3128
MARK, ARP = "ether 0x88b5", "ether 0x806"
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x20000
libc = ctypes.CDLL(None, use_errno=True)


def sh(*words, **more) -> str:
    p = subprocess.run([str(w) for w in words], capture_output=True, text=True, **more)
    if p.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {p.stdout}{p.stderr}")
    return p.stdout


def own_place() -> None:
    """Nothing of this test's lies where another's would."""
    if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, 0x40000 | 0x4000, None):
        raise OSError(ctypes.get_errno(), "unshare")
    for d in ("/run/kubefence", "/run/netns"):
        os.makedirs(d, exist_ok=True)
        sh("mount", "-t", "tmpfs", "-o", "mode=755", "kf-egress", d)


@contextlib.contextmanager
def inside(netns: str):
    """This thread, in that namespace: for making sockets."""
    with open("/proc/thread-self/ns/net", encoding="ascii") as home, open(netns, encoding="ascii") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            if libc.setns(home.fileno(), CLONE_NEWNET):
                os._exit(99)


def answer(s: socket.socket) -> str:
    stream = Stream(s)
    head = stream.until(b"\r\n\r\n")
    return (head + stream.message(head, True)).decode()


class Sniffer:
    """Whatever arrives from a pod, as (what, destination, port)."""

    def __init__(self, interface: str) -> None:
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.bind((interface, 0))
        self.seen: list[tuple[str, str, int]] = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        while True:
            try:
                frame, address = self.sock.recvfrom(65536)
            except OSError:
                return
            if address[2] == 4:  # PACKET_OUTGOING
                continue
            kind, = struct.unpack("!H", frame[12:14])
            ip = frame[14:]
            if kind == 0x800:
                protocol, to, rest = ip[9], socket.inet_ntoa(ip[16:20]), ip[(ip[0] & 15) * 4:]
            elif kind == 0x86dd:
                protocol, to, rest = ip[6], socket.inet_ntop(socket.AF_INET6, ip[24:40]), ip[40:]
            else:
                self.seen.append((f"ether {kind:#x}", "", 0))
                continue
            if protocol == 0 and rest[0] == 58:
                continue  # listener reports
            what = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6"}.get(protocol, f"ip {protocol}")
            if what == "icmp6" and rest[0] >= 130 and rest[0] <= 143:
                continue  # neighbours
            port = struct.unpack("!H", rest[2:4])[0] if what in ("tcp", "udp") else 0
            if what == "tcp" and rest[13] & 0x12 != 2:
                continue  # not a new connection
            self.seen.append((what, to, port))

    def out(self) -> set[tuple[str, str, int]]:
        """What is not ARP."""
        return {s for s in self.seen if s[0] != ARP}


class Net:
    """A pod's network, wherever that came from: its namespace, the other end of its veth, and the broker in it."""

    def __init__(self, path: str, sniffer: Sniffer, ca: Path) -> None:
        self.path, self.sniffer, self.ca = path, sniffer, ca

    def run(self, *words, **more) -> subprocess.CompletedProcess:
        return subprocess.run(["nsenter", f"--net={self.path}", *map(str, words)], capture_output=True, text=True, timeout=60, **more)

    def nft(self) -> str:
        p = self.run("nft", "list", "ruleset")
        if p.returncode:
            raise RuntimeError(p.stderr)
        return p.stdout

    def watched(self, do):
        """What do() gives, and what left the pod meanwhile."""
        before = len(self.sniffer.seen)
        value = do()
        # All that was sent before has arrived when this frame, which no rule stops, has.
        with inside(self.path), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind(("eth0", 0))
            s.send(b"\xff" * 12 + b"\x88\xb5mark" + b"." * 46)
        wait_until(lambda: any(s[0] == MARK for s in self.sniffer.seen[before:]), "the mark")
        return value, {s for s in self.sniffer.seen[before:] if s[0] not in (MARK, ARP)}

    def proxy(self, request: str, tls: str = "", timeout: float = 30) -> str:
        """What the broker answers to @request, and with @tls, a name, what comes by TLS to it after CONNECT."""
        with inside(self.path):
            s = socket.create_connection(("127.0.0.1", PORT), timeout=timeout)
        with s:
            s.sendall(request.encode())
            if not tls:
                return answer(s)
            head = Stream(s).until(b"\r\n\r\n").decode()
            if " 200 " not in head.split("\n")[0]:
                return head
            context = ssl.create_default_context(cafile=self.ca)
            with context.wrap_socket(s, server_hostname=tls) as t:
                t.sendall(f"GET /tls HTTP/1.1\r\nHost: {tls}\r\nConnection: close\r\n\r\n".encode())
                return answer(t)

    def connect(self, name: str = "ok.test", port: int = 443, tls: str = "") -> str:
        return self.proxy(f"CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n", tls or name)


class Pod(Net):
    """One that the test makes itself."""

    def __init__(self, field: "Field", name: str, number: int) -> None:
        self.field, self.name, self.number = field, name, number
        self.ns = f"{field.tag}-{name}"
        self.path = f"/run/netns/{self.ns}"
        self.uid = f"0000-{number}"
        self.address, self.address6 = f"10.244.{number}.2", f"fd00:{number}::2"
        outer = f"kfe{os.getpid() % 100000}v{number}"
        sh("ip", "netns", "add", self.ns)
        sh("ip", "-n", field.world, "link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", self.ns)
        for ns, link, four, six in ((field.world, outer, f"10.244.{number}.1", f"fd00:{number}::1"), (self.ns, "eth0", self.address, self.address6)):
            sh("ip", "-n", ns, "address", "add", f"{four}/24", "dev", link)
            sh("ip", "-n", ns, "address", "add", f"{six}/64", "dev", link, "nodad")
            sh("ip", "-n", ns, "link", "set", link, "up")
        sh("ip", "-n", self.ns, "link", "set", "lo", "up")
        sh("ip", "-n", self.ns, "route", "add", "default", "via", f"10.244.{number}.1")
        sh("ip", "-n", self.ns, "-6", "route", "add", "default", "via", f"fd00:{number}::1")
        with inside(f"/run/netns/{field.world}"):
            super().__init__(self.path, Sniffer(outer), field.dir / "ca.pem")

    def delete(self) -> None:
        sh("ip", "netns", "delete", self.ns)


class Field:
    def __init__(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="kf-egress-node-"))
        self.dir.chmod(0o755)
        certificates(self.dir)
        self.tag = f"kfe{os.getpid()}"
        self.world = f"{self.tag}-world"
        self.pods: list[Pod] = []

    def __enter__(self) -> "Field":
        sh("ip", "netns", "add", self.world)
        at = ("ip", "-n", self.world)
        sh(*at, "link", "set", "lo", "up")
        for a in (f"{INTERNET}/32", f"{OTHER}/32", f"{DNS}/32", f"{INTERNET6}/128"):
            sh(*at, "address", "add", a, "dev", "lo", *(["nodad"] if ":" in a else []))
        with inside(f"/run/netns/{self.world}"):
            self.names = Names()
            self.tls = Origin(self.dir / "server.pem")
            self.plain = Origin()
            self.names.names.update({n: [INTERNET, INTERNET6] for n in ("ok.test", "other.test", "sub.wild.test", "api.test")})
            self.names.names["inner.test"] = ["10.244.1.1"]
            self.forwards = []
            for listen, target in ((443, self.tls.port), (80, self.plain.port)):
                for address in (INTERNET, INTERNET6, OTHER, "10.244.0.0"):
                    if address != "10.244.0.0":
                        self._forward(address, listen, target)
            # One of somebody's who would like to be asked.
            self.foreign = Names()
            for address, names in ((DNS, self.names), (OTHER, self.foreign)):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    self._dns(kind, address, names)
        return self

    def __exit__(self, *_) -> None:
        for s in self.forwards:
            s.close()
        for p in self.pods:
            subprocess.run(["ip", "netns", "delete", p.ns], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "delete", self.world], capture_output=True, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def pod(self, name: str) -> Pod:
        self.pods.append(Pod(self, name, len(self.pods) + 1))
        return self.pods[-1]

    def _forward(self, address: str, port: int, target: int) -> None:
        """@target of the loopback, at an address of the internet's."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(64)
        self.forwards.append(listener)
        world = f"/run/netns/{self.world}"

        def pump(a: socket.socket, b: socket.socket) -> None:
            try:
                while part := a.recv(65536):
                    b.sendall(part)
                b.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        def serve() -> None:
            while True:
                try:
                    c, _ = listener.accept()
                    with inside(world):
                        o = socket.create_connection(("127.0.0.1", target))
                except OSError:
                    return
                for pair in ((c, o), (o, c)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()

    def _dns(self, kind: int, address: str, names: Names) -> None:
        s = socket.socket(socket.AF_INET, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, 53))
        self.forwards.append(s)

        def udp() -> None:
            while True:
                try:
                    query, peer = s.recvfrom(4096)
                    s.sendto(names.answer(query, "udp"), peer)
                except IndexError:
                    pass  # no query
                except OSError:
                    return

        if kind == socket.SOCK_DGRAM:
            threading.Thread(target=udp, daemon=True).start()
        else:
            s.listen(8)


def sealed(text: str) -> str:
    return f"{text}sum {hashlib.sha256(text.encode()).hexdigest()}\n"


def rules(*lines: str, name: str = "test") -> str:
    return sealed("\n".join(["nono-egress 1", f"name {name}", *lines]) + "\n")


class Refused(Exception):
    pass


class Parent:
    def __init__(self, field: Field, *options: str, worker: str = "") -> None:
        self.field = field
        self.log = field.dir / f"parent-{len(list(field.dir.glob('parent-*')))}.log"
        self.words = [str(BROKER), "serve", "--ca", f"{field.dir}/ca.pem", "--log-level", "debug", *(options or ("--resolver", DNS))]
        if worker:
            self.words += ["--worker", worker]
        self.start()

    def start(self) -> None:
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words, stdout=log, stderr=log)
        wait_until(lambda: "egress-ready" in self.log.read_text()[getattr(self, "at", 0):] or self.process.poll() is not None, "the parent")
        if self.process.poll() is not None:
            raise RuntimeError(f"the parent ended: {self.log.read_text()}")

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.at = len(self.log.read_text())
        self.process.send_signal(how)
        return self.process.wait(60)

    def __enter__(self) -> "Parent":
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.stop()
        # A debug build names the calls that its filter, or a worker's, has refused.
        if refused := [x for x in self.log.read_text().splitlines() if "refused system call" in x]:
            raise RuntimeError("\n".join(refused))

    def text(self, pod: Pod, rule_text: str, secrets=(), path: str = "", inode: int = 0, resolvers=(DNS,)) -> bytes:
        return ("egress-pod 1\n" f"pod ns/{pod.name}/{pod.uid}\nnetns {path or pod.path}\ninode {inode or os.stat(pod.path).st_ino}\n"
                + "".join(f"resolver {r}\n" for r in resolvers) + "".join(f"secret {s}\n" for s in secrets) + f"rules\n{rule_text}").encode()

    def send(self, packet: bytes, fds=()) -> str:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(60)
        with s:
            s.connect(str(DIR / "socket"))
            socket.send_fds(s, [packet], list(fds))
            return s.recv(4096).decode()

    def open(self, pod: Pod, rule_text: str, secrets=(), **more) -> str:
        """What the guard does; "new" or "again"."""
        with contextlib.ExitStack() as stack:
            fds = [stack.enter_context(open(pod.path, encoding="ascii")).fileno()]
            for s in secrets:
                fds.append(os.open(s, os.O_PATH | os.O_DIRECTORY))
                stack.callback(os.close, fds[-1])
            answer = self.send(self.text(pod, rule_text, secrets, **more), fds)
        if answer.startswith("error "):
            raise Refused(answer[6:])
        return answer

    def workers(self) -> dict[str, int]:
        """pod -> process"""
        found = {}
        for p in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                words = Path(f"/proc/{p}/cmdline").read_bytes().split(b"\0")
            except OSError:  # it has ended
                continue
            if b"--pod" in words:
                found[words[words.index(b"--pod") + 1].decode().split("/")[1]] = int(p)
        return found

    def records(self) -> list[dict]:
        return [json.loads(line) for line in (DIR / "connections.log").read_text().splitlines()]
