# SPDX-License-Identifier: Apache-2.0
"""Hosts: which may be reached, by which words, at which addresses."""
import json
import socket
import ssl
import subprocess

import corpus
import hello
from harness import BROKER, ROOT, Broker, Place
from lib.tap import Tap
from servers import Closed, Stream, wait_for


def curl(b: Broker, *words) -> subprocess.CompletedProcess:
    env = {"https_proxy": b.url, "http_proxy": b.url, "PATH": "/usr/bin:/bin"}
    return subprocess.run(["curl", "-sS", "-m", "60", *words], capture_output=True, text=True, env=env)


def proxy(t: Tap, place: Place) -> None:
    with Broker(place) as b:
        https, http = f"https://ok.test:{place.tls.port}/x", f"http://ok.test:{place.plain.port}/x"
        p = curl(b, "--cacert", place.dir / "ca.pem", https)
        t.ok('"head"' in p.stdout, "a client reaches an allowed host by CONNECT, and trusts the host's own certificate", p)
        r = b.record()
        t.ok((r["name"], r["port"], r["address"], r["verdict"], r["reason"]) == ("ok.test", place.tls.port, "127.0.0.1", "allowed", "")
             and r["sent"] > 300 and r["received"] > 300, "... and the record says what passed", r)
        p = curl(b, http)
        t.ok('"head"' in p.stdout, "a client reaches an allowed host by plain HTTP", p)
        t.ok(b.record()["verdict"] == "allowed", "... and there is a record")
        p = curl(b, "-w", "%{http_code}", f"http://nowhere.test:{place.plain.port}/x")
        t.ok("the profile does not allow this host" in p.stdout and "profile 'test'" in p.stdout
             and "the platform team" in p.stdout and p.stdout.endswith("403"), "a refusal tells the rule and whom to ask", p.stdout)
        r = b.record()
        t.equal((r["name"], r["verdict"], r["reason"]), ("nowhere.test", "refused", "host"), "... and there is a record of it")
        p = curl(b, "--cacert", place.dir / "ca.pem", "--proxytunnel", f"https://nowhere.test:{place.tls.port}/x")
        t.ok(p.returncode == 56 and "403" in p.stderr, "CONNECT to another host is refused", p)


def names(t: Tap, place: Place) -> None:
    p, s = place.plain.port, place.tls.port
    rows = [
        ("CONNECT", "ok.test", s, 200, ""),
        ("CONNECT", "OK.Test", s, 200, ""),
        ("CONNECT", "ok.test.", s, 200, ""),
        ("CONNECT", "sub.wild.test", s, 200, ""),
        ("CONNECT", "wild.test", s, 403, "host"),
        ("CONNECT", "xwild.test", s, 403, "host"),
        ("CONNECT", "bad.wild.test", s, 403, "host-denied"),
        ("CONNECT", "BAD.wild.test.", s, 403, "host-denied"),
        ("CONNECT", "ok.test.evil", s, 403, "host"),
        ("CONNECT", "notok.test", s, 403, "host"),
        ("CONNECT", "ok.test", s + 1, 403, "port"),
        ("CONNECT", "paths.test", p, 403, "request"),
        ("CONNECT", "api.test", s, 403, "host"),
        ("GET", "ok.test", p, 200, ""),
        ("GET", "ok.test", 80, 403, "port"),
        ("GET", "api.test", p, 403, "host"),
    ]
    with Broker(place) as b:
        for method, name, port, status, reason in rows:
            target = f"{name}:{port}" if method == "CONNECT" else f"http://{name}:{port}/"
            got, fields, _ = b.ask(f"{method} {target} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode()) if method == "GET" else \
                (int(b.tunnel(name, port)[1].split(" ")[1]), {}, b"")
            t.equal(got, status, f"{method} {name}: {reason or 'allowed'}")
            if reason:
                t.equal(b.record()["reason"], reason, "... and the record says so")
            else:
                b.record()


FORMS = ["2130706433", "017700000001", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.1", "127.000.0.1", "0x7f.0.0.1", "127.0.0.1.",
         "0", "1.2.3", "0x", "1.0x", "a.1", "[::ffff:127.0.0.1]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
         "[fe80::1%25lo]", "[::1%lo]", "127.0.0.1", "10.0.0.1", "169.254.169.254", "[fd00:ec2::254]", "8.8.8.8", "[2606:4700::1]"]


def literals(t: Tap, place: Place) -> None:
    """Addresses in place of names, in all forms: none is reached that the rules do not name."""
    port = place.plain.port
    with Broker(place) as b:
        for form in FORMS:
            status, _, _ = b.ask(f"GET http://{form}:{port}/ HTTP/1.1\r\nHost: {form}:{port}\r\n\r\n".encode())
            reason = b.record()["reason"]
            t.ok(status in (400, 403) and reason in ("host", "loopback", "address-form", "name-form", "malformed"), f"{form} is refused ({reason})", status)
    with Broker(place, place.rules(f"host 127.0.0.1 {port},{place.tls.port}")) as b:
        status, _, _ = b.ask(f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        t.equal(status, 200, "control: 127.0.0.1 is reached if the rules name it, and grant it")
        c, first = b.tunnel("127.0.0.1", place.tls.port)
        c.sendall(hello.real(None))
        t.ok("200" in first and c.recv(1) == b"\x16", "control: ... by a tunnel without a name in its hello, too", first)
        for form in ("2130706433", "0x7f.1", "127.1"):
            status, _, _ = b.ask(f"GET http://{form}:{port}/ HTTP/1.1\r\nHost: {form}:{port}\r\n\r\n".encode())
            t.equal(status, 403, f"... and still not as {form}")


# address: the word of the refusal; "" if it is public.
ADDRESSES = {
    "127.0.0.1": "loopback", "127.255.255.254": "loopback", "0.0.0.0": "unspecified", "0.1.2.3": "unspecified", "10.0.0.1": "private",
    "172.16.0.1": "private", "172.31.255.255": "private", "192.168.1.1": "private", "100.64.0.1": "private", "100.127.255.255": "private",
    "169.254.0.1": "link-local", "169.254.169.254": "metadata", "169.254.170.2": "metadata", "100.100.100.200": "metadata",
    "168.63.129.16": "metadata", "192.0.0.192": "metadata", "192.0.0.1": "reserved", "192.0.2.1": "documentation", "198.18.0.1": "benchmark",
    "198.51.100.1": "documentation", "203.0.113.1": "documentation", "224.0.0.1": "multicast", "239.255.255.255": "multicast",
    "240.0.0.1": "reserved", "255.255.255.255": "reserved", "::": "unspecified", "::1": "loopback", "::127.0.0.1": "reserved",
    "::ffff:127.0.0.1": "mapped", "::ffff:8.8.8.8": "mapped", "64:ff9b::7f00:1": "loopback", "64:ff9b::a00:1": "private",
    "64:ff9b::a9fe:a9fe": "metadata", "64:ff9b:1::1": "nat64", "2002:7f00:1::": "6to4", "2002:808:808::": "6to4", "2001::1": "reserved",
    "2001:db8::1": "documentation", "fc00::1": "private", "fd00:ec2::254": "metadata", "fd20:ce::254": "metadata", "fe80::1": "link-local",
    "fec0::1": "private", "ff02::1": "multicast", "100::1": "reserved", "5f00::1": "reserved", "3fff::1": "documentation", "4000::1": "reserved",
}


def addresses(t: Tap, place: Place) -> None:
    """Names that lead to addresses which are not public."""
    port = place.plain.port
    ask = f"GET http://NAME:{port}/ HTTP/1.1\r\nHost: NAME:{port}\r\nConnection: close\r\n\r\n"
    rules = place.rules(f"host *.lead.test {port}", "grant 127.7.0.0/16", "refuse 127.7.1.0/24 node", "grant 127.7.1.9/32", grant=False)

    def lead(*to: str) -> str:
        name = f"n{len(place.names.names)}.lead.test"
        place.names.names[name] = list(to)
        return name

    with Broker(place, rules) as b:
        for address, word in ADDRESSES.items():
            status, _, body = b.ask(ask.replace("NAME", lead(address)).encode())
            r = b.record()
            t.ok(status == 403 and r["reason"] == "address" and f"({r['address']}: {word})" in body.decode(), f"a name for {address} is refused: {word}", (r, body))
        for to, want, what in [
            (["127.7.0.1"], 200, "control: an address in a range that is granted is reached"),
            (["127.7.1.1"], 403, "a longer range that is refused wins"),
            (["127.7.1.9"], 200, "control: a still longer one that is granted wins"),
            (["10.0.0.1", "127.7.0.1"], 200, "of several addresses the one that may be dialled is"),
            (["::ffff:127.7.0.1"], 403, "a granted IPv4 address is not reached as a mapped one"),
        ]:
            t.equal(b.ask(ask.replace("NAME", lead(*to)).encode())[0], want, what)
    place.names.names["alias.lead.test"] = "far.other"
    place.names.names["far.other"] = ["127.0.0.1"]
    place.names.names["turn.lead.test"] = [["127.7.0.1"], ["127.0.0.1"]]
    with Broker(place, rules) as b:
        t.equal(b.ask(ask.replace("NAME", "alias.lead.test").encode())[0], 403, "an alias of a name that leads to the loopback is refused")
        turn = ask.replace("NAME", "turn.lead.test").replace("/ HTTP", "/close HTTP").encode()  # so that no connection is kept
        t.equal(b.ask(turn)[0], 200, "control: a name that leads to a granted address ...")
        t.equal(b.ask(turn)[0], 403, "... is refused when it leads to the loopback (rebinding)")


def resolving(t: Tap, place: Place) -> None:
    n, port = place.names, place.plain.port
    ask = f"GET http://ok.test:{port}/ HTTP/1.1\r\nHost: ok.test:{port}\r\nConnection: close\r\n\r\n".encode()
    with Broker(place) as b:
        n.cut = True
        n.asked.clear()
        t.equal(b.ask(ask)[0], 200, "an answer that is cut is asked for by TCP")
        t.ok(("ok.test", 1, "tcp") in n.asked, "... as the server saw", n.asked)
        n.cut = False
        n.ttl = 30
        t.equal(b.ask(ask)[0], 200, "an answer with a time to live")
        n.asked.clear()
        t.ok(b.ask(ask)[0] == 200 and not n.asked, "... is kept", n.asked)
        n.ttl = 0
    for what, answer in ("no such name", 3), ("a server's fault", 2), ("no address", []):
        n.names["ok.test"] = answer
        with Broker(place) as b:
            t.equal(b.ask(ask)[0], 502, f"{what}: the request fails")
            t.equal(b.record()["reason"], "resolve", "... and the record says why")
    n.names["ok.test"] = ["127.0.0.1"]


def tunnels(t: Tap, place: Place) -> None:
    with Broker(place) as b:
        for what, data, reason in hello.table("ok.test", "other.test"):
            before = place.tls.connections
            c, first = b.tunnel("ok.test", place.tls.port)
            with c:
                c.sendall(data)
                try:
                    got = c.recv(7)
                except ConnectionResetError:
                    got = b""
            if reason:
                t.ok(got == bytes((21, 3, 3, 0, 2, 2, 49)), f"{what}: refused by an alert", got)
                t.equal(b.record()["reason"], reason, "... and the record says why")
            else:
                t.ok("200" in first and got != bytes((21, 3, 3, 0, 2, 2, 49)) and place.tls.connections == before + 1, f"{what}: the host is heard", got)
                b.record()
        context = ssl.create_default_context(cafile=place.dir / "ca.pem")
        c, _ = b.tunnel("ok.test", place.tls.port)
        with context.wrap_socket(c, server_hostname="ok.test") as s:
            s.sendall(b"GET /big?3000000 HTTP/1.1\r\nHost: ok.test\r\n\r\n")
            got = Stream(s)
            head = got.until(b"\r\n\r\n")
            t.equal(len(got.message(head)), 3000000, "control: three megabytes pass through a tunnel")


def smuggling(t: Tap, place: Place) -> None:
    """A host is sent what the broker understood, once, or nothing."""
    o = place.plain
    with Broker(place) as b:
        for what, data, status, reason in corpus.requests("ok.test", o.port):
            o.requests.clear()
            got, _, body = b.ask(data)
            # What reached the host in part is no request; a second one would be.
            wait_for(lambda: o.requests or status != 200, 5)
            record = b.record()
            t.ok(got == status and record["reason"] == ("" if reason == corpus.GOOD else reason)
                 and len(o.requests) == (1 if reason == corpus.GOOD else 0), f"{what}: {status}", (got, body, record, o.requests))
        o.requests.clear()
        two = f"POST http://ok.test:{o.port}/1 HTTP/1.1\r\nHost: ok.test:{o.port}\r\nContent-Length: 3\r\n\r\nabc" \
              f"GET http://ok.test:{o.port}/2 HTTP/1.1\r\nHost: ok.test:{o.port}\r\nConnection: close\r\n\r\n"
        b.ask(two.encode())
        wait_for(lambda: len(o.requests) == 2, 10)
        t.equal([x[1] for x in o.requests], [b"abc", b""], "control: two requests, one behind the other, are two")
        mixed = two.replace("ok.test", "nowhere.test").replace("POST http://nowhere", "POST http://ok").replace("Host: nowhere.test", "Host: ok.test", 1)
        o.requests.clear()
        with b.connect() as c:
            c.sendall(mixed.encode())
            s = Stream(c)
            first = s.until(b"\r\n\r\n")
            s.message(first)
            second = s.until(b"\r\n\r\n")
        t.ok(b" 200 " in first and b" 403 " in second and len(o.requests) == 1, "each request of a connection is decided about by itself", (first, second))


def answers(t: Tap, place: Place) -> None:
    o = place.plain
    with Broker(place) as b:
        for what, data, status in corpus.answers():
            o.raw = data
            got, _, body = b.ask(f"GET http://ok.test:{o.port}/raw HTTP/1.1\r\nHost: ok.test:{o.port}\r\nConnection: close\r\n\r\n".encode())
            t.equal(got, status, f"a host's answer: {what}: {status}")


def hop_by_hop(t: Tap, place: Place) -> None:
    o = place.plain
    fields = "Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nProxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n" \
             "Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nKeep-Alive: x\r\nX-Other: 2\r\n"
    with Broker(place) as b:
        o.requests.clear()
        b.ask(f"GET http://ok.test:{o.port}/x?y=1 HTTP/1.1\r\nHost: ok.test:{o.port}\r\n{fields}\r\n".encode())
        t.equal(o.requests[0][0].decode(), f"GET /x?y=1 HTTP/1.1\r\nHost: ok.test:{o.port}\r\nX-Other: 2\r\n\r\n", "what is for the broker goes no further")


def paths(t: Tap, place: Place) -> None:
    place.names.names["paths.test"] = ["127.0.0.1"]
    rows = [
        ("GET", "/debian", 200), ("GET", "/debian/", 200), ("HEAD", "/debian/dists/x", 200), ("GET", "/debian/a%2fb", 200), ("GET", "/debian/?a=../..", 200),
        ("GET", "/debian/a;b=c/d", 200), ("POST", "/up/x", 200), ("GET", "/debian/%41", 200),
        ("POST", "/debian/x", 403), ("get", "/debian/x", 403), ("GET", "/debianx", 403), ("GET", "/", 403), ("GET", "/DEBIAN/", 403), ("GET", "/up/x", 403),
        ("POST", "/up", 403), ("GET", "/debian/../x", 403), ("GET", "/debian/..", 403), ("GET", "/debian/%2e%2e/x", 403), ("GET", "/debian/.%2E/x", 403),
        ("GET", "/debian/..%2fx", 403), ("GET", "/debian/%252e%252e/x", 403), ("GET", "/debian/./x", 403), ("GET", "//debian/x", 403),
        ("GET", "/debian//x", 403), ("GET", "/debian/..;/x", 403), ("GET", "/debian/..;a/x", 403), ("GET", "/debian/\\..\\x", 403), ("GET", "/debian/%5c..%5cx", 403),
        ("GET", "/debian/%00", 403), ("GET", "/debian/%", 403), ("GET", "/debian/%zz", 403), ("GET", "/%64ebian/x", 200),
        # A server may take an encoded slash for a part of a name, and answer for another place than the rule's.
        ("GET", "/debian%2fx", 403), ("POST", "/up%2fx", 403), ("GET", "/debian/%2f/x", 403), ("GET", "/debian/%2e%2e%2fx", 403), ("GET", "/debian/a%2f..", 403),
    ]
    with Broker(place) as b:
        for method, path, status in rows:
            got, _, body = b.ask(f"{method} http://paths.test:{place.plain.port}{path} HTTP/1.1\r\nHost: paths.test:{place.plain.port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            t.equal(got, status, f"{method} {path}: {'allowed' if status == 200 else 'refused'}")


def sandboxed(t: Tap, place: Place) -> None:
    """With nono wrap a command has no other way out than the broker."""
    rules = place.dir / "sandboxed-rules"
    rules.write_text(place.rules())
    url = f"http://ok.test:{place.plain.port}/x"
    code = "curl -sS -m 30 $1; echo; curl -sS -m 30 --noproxy '*' http://127.0.0.1:$2/x; echo $?; curl -sS -m 30 http://nowhere.test/"

    def run(*sandbox) -> str:
        p = subprocess.run([BROKER, "run", "--rules", rules, "--resolver", place.names.address, "--ca", place.dir / "ca.pem",
                            "--secrets", place.keys, "--", *sandbox, "sh", "-c", code, "sh", url, str(place.plain.port)], capture_output=True, text=True)
        return p.stdout + p.stderr

    out = run()
    t.ok(out.count('"head"') == 2 and "does not allow this host" in out, "control: a command without a sandbox goes around the broker", out)
    out = run("sh", "-c", 'exec "$0" wrap --block-net --allow-connect-port "${http_proxy##*:}" -- "$@"', ROOT / "out/bin/nono")
    t.ok(out.count('"head"') == 1 and "\n7\n" in out and "does not allow this host" in out, "in one that leaves it the broker's port it does not", out)


def profile(t: Tap, place: Place) -> None:
    """A profile as a pod would have it: its hosts for the broker, its files for the launcher."""
    policy, source = place.dir / "policy", place.dir / "tried.json"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    source.write_text(json.dumps({"extends": "default", "network": {
        "connect_port": [port], "allow_domain": [{"domain": "ok.test", "ports": [place.plain.port]}], "allow_range": ["127.0.0.1/32"], "ask": "nobody"}}))
    policy.write_text(subprocess.run([ROOT / "out/bin/kubefence", "profile", "compile", source], check=True, capture_output=True, text=True).stdout)
    code = 'curl -sS -m 30 $1; echo; curl -sS -m 30 http://nowhere.test/; curl -sS -m 30 --noproxy "*" $2; echo $?; touch /etc/kf-tried; grep NoNewPrivs /proc/self/status'
    with open(policy) as fd:
        p = subprocess.run([BROKER, "run", "--listen", f"127.0.0.1:{port}", "--rules", policy, "--resolver", place.names.address, "--",
                            ROOT / "out/bin/nono", "wrap", "--profile", "tried", "--policy-fd", str(fd.fileno()), "--", "sh", "-c", code, "sh", f"http://ok.test:{place.plain.port}/x",
                            f"http://127.0.0.1:{place.plain.port}/x"], capture_output=True, text=True, pass_fds=(fd.fileno(),))
    out = p.stdout + p.stderr
    t.ok(out.count('"head"') == 1 and "does not allow this host" in out and "to ask: nobody" in out and "\n7\n" in out and "/etc/kf-tried" in out and "NoNewPrivs:\t1" in out,
         "a compiled profile is tried with broker and launcher: its host is reached by name, no other, and nothing around the broker", out)


def late(t: Tap, place: Place) -> None:
    """Whoever does not say what he wants is not waited for."""
    with Broker(place) as b:
        slow, silent = b.connect(), b.connect()
        tunnel, _ = b.tunnel("ok.test", place.tls.port)
        slow.sendall(b"GET http://ok")
        tunnel.sendall(hello.real("ok.test")[:50])
        t.ok(b" 408 " in slow.recv(100), "a request that does not come to its end is refused")
        t.equal(b.record()["reason"], "slow", "... and the record says why")
        t.equal(tunnel.recv(7), bytes((21, 3, 3, 0, 2, 2, 49)), "a hello that does not come to its end is refused")
        try:
            t.equal(silent.recv(1), b"", "a connection that says nothing is closed")
        except (Closed, ConnectionResetError):
            t.ok(True, "a connection that says nothing is closed")


QUICK = (proxy, names, literals, addresses, resolving, tunnels, smuggling, answers, hop_by_hop, paths, sandboxed, profile)
ALL = (late,)
