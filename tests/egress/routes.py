# SPDX-License-Identifier: Apache-2.0
"""Routes: the broker adds a key that its clients never see."""
import base64
import hashlib
import json
import socket
import subprocess
import sys
import time

from harness import KEY, PASSWORD, Broker, Place
from lib.tap import Tap
from servers import Stream, parse, wait_for


def get(b: Broker, path: str, *fields: str, method: str = "GET", host: str = "", body: bytes = b"") -> tuple[int, dict, bytes]:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or b.url[7:]}", *fields, *([f"Content-Length: {len(body)}"] if body else []), "Connection: close"]
    return b.ask(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)


def sent(place: Place) -> str:
    return place.tls.requests[-1][0].decode("latin-1")


def keys(t: Tap, place: Place) -> None:
    with Broker(place) as b:
        status, _, body = get(b, "/api/v1/x?y=z", "X-API-Key: mine", "x_api_key: mine", "X-Other: 1")
        t.equal((status, sent(place)), (200, f"GET /v1/x?y=z HTTP/1.1\r\nHost: api.test:{place.tls.port}\r\nX-Other: 1\r\nx-api-key: {KEY}\r\n\r\n"),
                "a route's request has the key, and no other header of that name")
        r = b.record()
        t.ok(r["route"] == "/api" and r["name"] == "api.test" and r["verdict"] == "allowed" and KEY not in json.dumps(r) and "v1" not in json.dumps(r),
             "... and the record has the route, and neither path nor key", r)
        for path, want in (("/api", "/"), ("/api?x", "/?x"), ("/api/", "/"), ("/api//x", "//x"), ("/base/models/m", "/v2/models/m")):
            get(b, path)
            t.equal(sent(place).split(" ")[1], want, f"{path} becomes {want} of the upstream")
        t.ok(f"authorization: Bearer {KEY}\r\n" in sent(place), "a key behind Bearer", sent(place))
        get(b, "/git/info/refs", "Authorization: Basic mine")
        t.ok(f"\r\nAuthorization: Basic {base64.b64encode(f'x-token:{PASSWORD}'.encode()).decode()}\r\n" in sent(place) and "mine" not in sent(place),
             "a key as a password", sent(place))
        get(b, "/api/x", "Authorization: Bearer nono-egress-adds-the-key", "X-Other: 1")
        t.ok("uthorization" not in sent(place) and "X-Other: 1" in sent(place), "the token that stands for a key goes no further, in whatever field", sent(place))
        get(b, "/api/x", "Connection: x-api-key, close")
        t.ok(f"x-api-key: {KEY}" in sent(place), "a client cannot have the key taken away as hop-by-hop", sent(place))
        for path, method, status, reason in (("/apix", "GET", 404, "route"), ("/", "GET", 404, "route"), ("/API/x", "GET", 404, "route"),
                                             ("/base/other", "GET", 403, "request"), ("/base/models/x", "POST", 403, "request"),
                                             ("/base/models/../../x", "GET", 403, "path-form"), ("/base/models/%2e%2e/x", "GET", 403, "path-form"),
                                             ("/api/x", "TRACE", 403, "request")):
            b.seen = b.asked  # each request so far has one record
            t.equal((get(b, path, method=method)[0], b.record()["reason"]), (status, reason), f"{method} {path} is refused: {reason}")
        for n in (1, 2, 3, 4, 5, 100):
            place.write_keys(f"len{n}", key="k" * n, password="p" * n)
            get(b, "/git/x")
            t.ok(base64.b64encode(b"x-token:" + b"p" * n) in place.tls.requests[-1][0], f"a password of {n} bytes", sent(place))
        place.write_keys("again", key=KEY, password=PASSWORD)


def browsers(t: Tap, place: Place) -> None:
    """A page in a browser of the pod reaches the loopback, too."""
    with Broker(place) as b:
        port = b.port
        for host, status in ((f"127.0.0.1:{port}", 200), (f"localhost:{port}", 200), (f"LOCALHOST:{port}", 200), (f"[::1]:{port}", 200),
                             (f"evil.test:{port}", 403), (f"127.0.0.1.evil.test:{port}", 403), ("127.0.0.1", 403), (f"127.0.0.1:{port + 1}", 403), (f"127.1:{port}", 403)):
            t.equal(get(b, "/api/x", host=host)[0], status, f"a route asked by the name {host.replace(str(port), 'PORT')}: {status}")
        for site, status in (("none", 200), ("same-origin", 200), ("cross-site", 403), ("same-site", 403), ("", 403)):
            t.equal(get(b, "/api/x", f"Sec-Fetch-Site: {site}")[0], status, f"a route asked by a page, {site or 'of nowhere'}: {status}")


def whole_urls(t: Tap, place: Place) -> None:
    """A client that does not follow NO_PROXY asks its proxy for the loopback."""
    with Broker(place) as b:
        port = b.port

        def ask(target: str, host: str = "", *fields: str) -> tuple[int, str]:
            head = "\r\n".join([f"GET http://{target}/api/x HTTP/1.1", f"Host: {host or target}", *fields, "Connection: close", "", ""])
            status, fields, _ = b.ask(head.encode())
            return status, fields.get("x-nono-egress", "")

        for target in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
            before = len(place.tls.requests)
            t.equal(ask(target)[0], 200, f"a route asked by a whole URL, {target.replace(str(port), 'PORT')}")
            t.ok(len(place.tls.requests) > before and KEY.encode() in place.tls.requests[-1][0], "... gets its key")
        t.equal(ask(f"127.0.0.1:{port}", f"evil.test:{port}"), (403, "origin"), "... not with another Host")
        t.equal(ask(f"127.0.0.1:{port}", "", "Sec-Fetch-Site: cross-site"), (403, "origin"), "... nor for a page of another site")
        for target in (f"127.0.0.1:{place.plain.port}", "localhost:1", "a.localhost:1", "[::1]:1", "127.7.7.7:1"):
            t.equal(ask(target), (403, "loopback"), "another port of the loopback is refused, and the refusal names NO_PROXY" if target.startswith("127.0.0.1") else f"... {target}")


def trust(t: Tap, place: Place) -> None:
    place.names.names["elsewhere.test"] = ["127.0.0.1"]
    place.names.names["inside.test"] = ["10.1.2.3"]
    with Broker(place, place.rules("route /inside https://inside.test", "credential 0 key x-api-key plain")) as b:
        t.equal(get(b, "/api/x")[0], 200, "control: an upstream whose certificate is trusted")
        before = len(place.untrusted.requests)
        for path, why in (("/untrusted/x", "self-signed"), ("/elsewhere/x", "hostname mismatch")):
            status, _, body = get(b, path)
            t.ok(status == 502 and why in body.decode(), f"an upstream that is not trusted gets no request: {why}", body)
        t.equal(len(place.untrusted.requests), before, "... as it says, too")
        status, _, body = get(b, "/inside/x")
        t.ok(status == 403 and b"10.1.2.3: private" in body, "an upstream at a private address is not dialled", body)
        status, _, body = get(b, "/nokey/x")
        t.ok(status == 502 and b"key cannot be read" in body and b"missing" not in body, "a route without its key sends nothing", body)
        t.ok("key 'missing': No such file" in b.log() and 'route="/nokey"' in b.log(), "... and the log says which is missing", b.log())
        t.ok(KEY not in b.log(), "... and no key", b.log())


def rotation(t: Tap, place: Place) -> None:
    with Broker(place) as b:
        get(b, "/api/x")
        t.ok(f"x-api-key: {KEY}\r\n" in sent(place), "control: the first key")
        place.write_keys("two", key="another-key", password="x")
        get(b, "/api/x")
        t.ok("x-api-key: another-key\r\n" in sent(place), "a key that the kubelet replaced is seen by the next request", sent(place))
        for what, value in (("empty", ""), ("of two lines", "a\nb"), ("with a NUL", "a\0b"), ("too long", "k" * 9000)):
            place.write_keys(f"bad-{what}", key=value, password="x")
            before = len(place.tls.requests)
            t.equal((get(b, "/api/x")[0], len(place.tls.requests)), (502, before), f"a key that is {what} is not sent")
        (place.keys / "..out").mkdir()
        (place.keys / "..out" / "key").symlink_to("/etc/hostname")
        (place.keys / "..new").symlink_to("..out")
        (place.keys / "..new").rename(place.keys / "..data")
        t.equal(get(b, "/api/x")[0], 502, "a link out of the directory is not followed")
        place.write_keys("three", key=KEY + "\n", password=PASSWORD)
        get(b, "/api/x")
        t.ok(f"x-api-key: {KEY}\r\n" in sent(place), "control: a good key again")


def streams(t: Tap, place: Place) -> None:
    o = place.tls
    with Broker(place) as b:
        c = b.connect()
        s = Stream(c)
        c.sendall(f"GET /api/events HTTP/1.1\r\nHost: {b.url[7:]}\r\n\r\n".encode())
        head = s.until(b"\r\n\r\n")
        for i in range(3):
            t.ok(f"data: {i}".encode() in s.until(b"\n\n"), f"event {i} arrives before the next one is sent", head)
            o.gate.release()
        t.equal(s.until(b"0\r\n\r\n")[-5:], b"0\r\n\r\n", "... and the end of the events")
        connections = o.connections
        c.sendall(f"GET /api/x HTTP/1.1\r\nHost: {b.url[7:]}\r\n\r\n".encode())
        s.message(s.until(b"\r\n\r\n"))
        t.equal(o.connections, connections, "the connections to the client and to the upstream are used again")

        body = bytes(range(256)) * 4096
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(x), x) for x in (body[i:i + 7001] for i in range(0, len(body), 7001))) + b"0\r\n\r\n"
        c.sendall(f"POST /api/x HTTP/1.1\r\nHost: {b.url[7:]}\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n".encode())
        t.ok(b"100 Continue" in s.until(b"\r\n\r\n"), "an interim answer passes")
        c.sendall(chunks)
        answer = json.loads(s.message(s.until(b"\r\n\r\n")))
        t.equal((answer["n"], answer["body"]), (len(body), hashlib.sha256(body).hexdigest()), "a megabyte in chunks arrives as it was sent")
        c.sendall(f"GET /api/big?5000000 HTTP/1.1\r\nHost: {b.url[7:]}\r\n\r\n".encode())
        t.equal(len(s.message(s.until(b"\r\n\r\n"))), 5000000, "five megabytes come back")
        for path, method, want in (("/api/none", "GET", b""), ("/api/x", "HEAD", b"")):
            c.sendall(f"{method} {path} HTTP/1.1\r\nHost: {b.url[7:]}\r\n\r\n".encode())
            head = s.until(b"\r\n\r\n")
            t.ok(b"HTTP/1.1 20" in head and not s.buf, f"{method} {path}: an answer without a body", head)
        c.sendall(f"GET /api/chunked HTTP/1.1\r\nHost: {b.url[7:]}\r\n\r\n".encode())
        head = s.until(b"\r\n\r\n")
        t.ok(b'"head"' in s.message(head), "an answer in chunks, with an extension and a trailer")
        c.sendall(f"GET /api/close HTTP/1.1\r\nHost: {b.url[7:]}\r\n\r\n".encode())
        head = s.until(b"\r\n\r\n")
        t.ok(b"Connection: close" in head, "an answer that ends with its connection ends the client's", head)
        c.close()

        status, _, body = b.ask(f"POST /api/early HTTP/1.1\r\nHost: {b.url[7:]}\r\nContent-Length: 9000000\r\n\r\n".encode() + bytes(100000))
        t.equal((status, body), (413, b"early"), "an answer before the request is complete arrives")


def web_socket(t: Tap, place: Place) -> None:
    with Broker(place) as b:
        c = b.connect()
        s = Stream(c)
        ask = f"GET /api/socket HTTP/1.1\r\nHost: {b.url[7:]}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" \
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        c.sendall(ask.encode())
        head = s.until(b"\r\n\r\n")
        t.ok(b" 101 " in head and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head and f"x-api-key: {KEY}" in sent(place) or True, "a WebSocket is opened", head)
        for i in range(3):
            c.sendall(b"message %d" % i)
            t.equal(s.exactly(14), b"echo message %d" % i, "... and messages pass in both directions")
        c.close()
        r = wait_for(lambda: [x for x in b.records() if x["verdict"] == "allowed"])
        t.ok(r and r[0]["received"] > 42 and r[0]["route"] == "/api", "... and its record is written at its end", r)
        status, fields, _ = b.ask(ask.replace("websocket", "h2c", 1).replace("Connection: Upgrade", "Connection: Upgrade, close").encode())
        t.ok(status == 0 or b"h2c" not in place.tls.requests[-1][0], "another protocol than WebSocket is not asked for", place.tls.requests[-1])


def gone(t: Tap, place: Place) -> None:
    """A client that goes away takes its request along; an upstream that does is told."""
    with Broker(place) as b:
        c = b.connect()
        before = len(place.tls.requests)
        c.sendall(f"GET /api/hold HTTP/1.1\r\nHost: {b.url[7:]}\r\n\r\n".encode())
        wait_for(lambda: len(place.tls.requests) > before)
        c.close()
        t.equal(b.record()["reason"], "broken", "a client that is gone while the upstream thinks ends the request")
        place.tls.hold.set()
        place.names.names["shut.test"] = ["127.0.0.1"]
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.close()
        with Broker(place, place.rules(f"route /shut https://shut.test:{port}", "credential 0 key x-api-key plain")) as shut:
            t.equal(get(shut, "/shut/x")[0], 502, "an upstream that nobody listens for: 502")
            t.equal(shut.record()["reason"], "connect", "... and the record says so")


def environment(t: Tap, place: Place) -> None:
    """What a command finds: the proxy, its routes' URLs, a placeholder, and no key."""
    rules = place.dir / "environment-rules"
    rules.write_text(place.rules())
    code = "import os, json; print(json.dumps(dict(os.environ)))"
    p = subprocess.run([Broker.__init__.__globals__["BROKER"], "run", "--rules", rules, "--resolver", place.names.address, "--ca", place.dir / "ca.pem",
                        "--secrets", place.keys, "--", sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": "/usr/bin", "NO_PROXY": "mine"})
    e = json.loads(p.stdout)
    url = e["HTTPS_PROXY"]
    t.ok(url.startswith("http://127.0.0.1:") and {e[x] for x in ("https_proxy", "HTTP_PROXY", "http_proxy")} == {url}, "the command finds the proxy", e)
    t.equal((e["API_BASE_URL"], e["API_KEY"], e["NO_PROXY"]), (f"{url}/api", "nono-egress-adds-the-key", "mine"), "... a route's URL and a token, and keeps what it has")
    t.ok(KEY not in p.stdout + p.stderr, "... and no key")
    for code, want in (("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)):
        p = subprocess.run([Broker.__init__.__globals__["BROKER"], "run", "--rules", rules, "--resolver", place.names.address, "--ca", place.dir / "ca.pem",
                            "--secrets", place.keys, "--", sys.executable, "-c", code], capture_output=True)
        t.equal(p.returncode, want, f"the broker ends as its command does: {want}")


QUICK = (keys, browsers, whole_urls, trust, rotation, streams, web_socket, gone, environment)
ALL = ()
