# SPDX-License-Identifier: Apache-2.0
"""One broker with what it talks to: certificates, a name server, origins, keys, and the rules of a test."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from lib.wait import DEADLINE, wait_until  # noqa: E402, F401
from servers import Names, Origin, Stream, parse  # noqa: E402

BROKER = os.environ.get("KUBEFENCE_BIN", f"{ROOT}/out/bin") + "/nono-egress"
KEY = "sk-test-0123456789abcdef-the-key"
PASSWORD = "ghp_test_the_password"
NAMES = ("ok.test", "other.test", "sub.wild.test", "git.test", "api.test", "packages.test")


def certificates(where: Path) -> None:
    """An authority (ca.pem), a certificate of its for NAMES (server.pem), and one for the same of nobody's (self.pem)."""
    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=where, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    alt = "subjectAltName=" + ",".join(f"DNS:{n}" for n in NAMES)
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "30")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    (where / "ext").write_text(alt)
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-extfile", "ext", "-out", "server.crt", "-days", "30")
    openssl("req", "-x509", *key, "-keyout", "self.key", "-out", "self.crt", "-subj", "/CN=server", "-addext", alt, "-days", "30")
    for name in "server", "self":
        (where / f"{name}.pem").write_text((where / f"{name}.key").read_text() + (where / f"{name}.crt").read_text())


class Place:
    """What brokers of one test program share."""

    def __init__(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="kf-egress-"))
        self.dir.chmod(0o755)
        certificates(self.dir)
        self.names = Names()
        self.plain = Origin()
        self.tls = Origin(self.dir / "server.pem")
        self.untrusted = Origin(self.dir / "self.pem")
        self.keys = self.dir / "keys"
        self.write_keys("one", key=KEY + "\n", password=PASSWORD)
        for name in NAMES:
            self.names.names[name] = ["127.0.0.1"]

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_) -> None:
        for x in self.names, self.plain, self.tls, self.untrusted:
            x.close()
        shutil.rmtree(self.dir)

    def write_keys(self, version: str, **keys: str) -> None:
        """As the kubelet writes a Secret's volume: links to a directory that is replaced as a whole."""
        self.keys.mkdir(exist_ok=True)
        (self.keys / f"..{version}").mkdir()
        for name, value in keys.items():
            (self.keys / f"..{version}" / name).write_text(value)
            if not (self.keys / name).is_symlink():
                (self.keys / name).symlink_to(f"..data/{name}")
        (self.keys / "..new").symlink_to(f"..{version}")
        (self.keys / "..new").rename(self.keys / "..data")

    def rules(self, *lines: str, grant: bool = True) -> str:
        """The usual ones, and @lines."""
        p, t = self.plain.port, self.tls.port
        return "\n".join([
            "nono-egress 1", "name test", "ask the platform team",
            *(["grant 127.0.0.1/32"] if grant else []),
            f"host ok.test {p},{t}", f"host *.wild.test {t}", f"host packages.test {p},{t}", f"host paths.test {p}",
            "allow GET,HEAD /debian", "allow POST /up/", "deny bad.wild.test",
            f"route /api https://api.test:{t}", "credential 0 key x-api-key plain", "env API_BASE_URL", "placeholder API_KEY",
            f"route /base https://api.test:{t}/v2", "credential 0 key authorization bearer", "allow GET /models",
            f"route /git https://git.test:{t}", "credential 0 password Authorization basic x-token",
            f"route /untrusted https://ok.test:{self.untrusted.port}", "credential 0 key x-api-key plain",
            f"route /elsewhere https://elsewhere.test:{t}", "credential 0 key x-api-key plain",
            f"route /nokey https://api.test:{t}", "credential 0 missing x-api-key plain",
            *lines]) + "\n"


class Broker:
    """nono-egress run, without a command."""

    def __init__(self, place: Place, rules: str = "", *options: str, program: str = BROKER, pass_fds: tuple[int, ...] = ()) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="broker-", dir=place.dir))
        self.dir.chmod(0o755)
        self.records_file = self.dir / "records"
        (self.dir / "rules").write_text(rules or place.rules())
        self.errors = open(self.dir / "errors", "w+")
        self.seen = self.asked = 0
        self.process = subprocess.Popen(
            [program, "run", "--rules", self.dir / "rules", "--records", self.records_file, "--resolver", place.names.address,
             "--ca", place.dir / "ca.pem", "--secrets", place.keys, *options], stdout=subprocess.PIPE, stderr=self.errors, text=True, pass_fds=pass_fds)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"no broker: {self.log()}")
        self.port = int(self.url.rsplit(":", 1)[1])

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()
        said = [x for x in self.log().splitlines() if "refused system call" in x or "Sanitizer" in x or "runtime error" in x]
        if said:
            raise RuntimeError("\n".join(said))

    def log(self) -> str:
        return (self.dir / "errors").read_text()

    @property
    def worker(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])

    def connect(self) -> socket.socket:
        c = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return c

    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.records_file.read_text().splitlines()]

    def record(self) -> dict:
        """The next record."""
        records = wait_until(lambda: self.records()[self.seen:], "a record")
        self.seen += 1
        return records[0]

    def ask(self, request: bytes, end: bool = False) -> tuple[int, dict, bytes]:
        """Send bytes on a connection of its own: status, fields and body of the answer; 0 if there is none."""
        self.asked += 1
        with self.connect() as c:
            try:
                c.sendall(request)
                if end:
                    c.shutdown(socket.SHUT_WR)
                s = Stream(c)
                head = s.until(b"\r\n\r\n")
                first, fields = parse(head)
                body = b"" if request.startswith(b"HEAD ") else s.message(head, answer=True)
                return int(first.split(" ")[1]), fields, body
            except Exception as e:  # noqa: BLE001: a reset, or an end
                return 0, {}, str(e).encode()

    def tunnel(self, name: str, port: int) -> tuple[socket.socket, str]:
        """CONNECT: the connection and the status line."""
        c = self.connect()
        c.sendall(f"CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode())
        s = Stream(c)
        first = parse(s.until(b"\r\n\r\n"))[0]
        return c, first
