# SPDX-License-Identifier: Apache-2.0
"""The page at / and its data: who is answered what, what others' names become, and what it costs whoever waits for the plugin."""
import base64
import hashlib
import json
import os
import random
import re
import select
import socket
import subprocess
import sys
import time

from lib import hostile, seed
from lib.tap import Tap
from lib.wait import wait_until

from flood import free_port
from harness import DEADLINE, ROOT, Node, cpu_seconds, resident_kib

SH = "arg=/bin/sh"
MANY = 5000
ATTACKERS = 10_000
PAGES = ("/status.json", "/denials.jsonl")


def ask(port: int, path: str, host: str | None = "localhost", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Status, headers, body; the connection is HTTP's own."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as s:
        s.sendall(f"{method} {path} HTTP/1.1\r\n{f'Host: {host}' if host is not None else 'X: y'}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: s.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}, body


def state(port: int) -> dict:
    return json.loads(ask(port, "/status.json")[2])


def served(t: Tap) -> None:
    """A document that runs nothing but its own script, and data that only it reads."""
    port = free_port()
    with Node() as n:
        n.start("--listen", f"127.0.0.1:{port}")
        status, headers, body = ask(port, "/")
        html = body.decode()
        t.ok(status == 200 and headers["content-type"] == "text/html; charset=utf-8" and html.endswith("</html>\n"), "/ is a page, to its end", headers)
        policy = dict(p.split(" ", 1) for p in headers["content-security-policy"].split("; "))
        t.equal([policy[k] for k in ("default-src", "base-uri", "form-action", "frame-ancestors", "connect-src")],
                ["'none'", "'none'", "'none'", "'none'", "'self'"], "its policy allows nothing from elsewhere")
        for kind, tag in (("script-src", "script"), ("style-src", "style")):
            parts = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
            hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(p.encode()).digest()).decode()}'" for p in parts]
            t.equal(policy[kind], " ".join(hashes), f"... and the one {tag} of the page by its hash")
        foreign = re.findall(r'(?:src|href|action)\s*=\s*"(?!data:,)[^"]*"|url\(|@import|\bon\w+\s*=\s*"|style\s*=\s*"', html)
        t.equal(foreign, [], "it loads nothing, and has no attribute that is a script or a style")
        unsafe = re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|setAttribute", html)
        t.equal(unsafe, [], "its script makes text of data, and nothing else")
        kinds = re.findall(r'X\(\w+, "(\w+)"\)', (ROOT / "src/denial/denial.h").read_text())
        t.equal(re.findall(r"<option>(\w+)</option>", html), kinds, "it knows each kind of denial that the feed tells")
        for path in ("/", *PAGES):
            _, h, _ = ask(port, path)
            t.ok(h["x-content-type-options"] == "nosniff" and h["cache-control"] == "no-store" and
                 h["cross-origin-resource-policy"] == "same-origin" and "'none'" in h["content-security-policy"],
                 f"{path}: no guessing, no keeping, no use by other sites", h)
            t.equal(ask(port, path, method="HEAD")[::2], (200, b""), f"{path}: HEAD has no body")


# In another network, for each way to ask: the answers' status on each path.
ELSEWHERE = """
import json, socket, sys
def ask(address, host, path):
    s = socket.create_connection((address, 9464))
    s.sendall(f"GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    return int(s.recv(100).decode().split()[1])
ways, paths = json.loads(sys.argv[1])
print(json.dumps([[ask(*way, path) for path in paths] for way in ways]))
"""


def audience(t: Tap) -> None:
    """Who sees it: by default who comes over the loopback and was not led here by somebody's name server."""
    ways = {"over the loopback": ("127.0.0.1", "localhost:9464"), "by somebody's name for it": ("127.0.0.1", "rebound.example"),
            "from another address": ("192.0.2.1", "192.0.2.1:9464")}
    for flag, codes in (("", (200, 403, 403)), ("--page=loopback", (200, 403, 403)), ("--page=all", (200, 200, 200)), ("--page=nobody", (404, 404, 404))):
        with Node() as n:
            # A network of its own, with an address that is not the loopback's.
            command = ["unshare", "-n", "sh", "-c", 'ip link set lo up && ip addr add 192.0.2.1/32 dev lo && exec "$@"', "sh",
                       *map(str, n.command("--listen", ":9464", *([flag] if flag else [])))]
            with open(n.log, "ab") as log:
                p = subprocess.Popen(command, stdout=log, stderr=log)
            n.plugins.append(p)
            n.connect()
            words = json.dumps([list(ways.values()), [*PAGES, "/healthz", "/metrics"]])
            said = subprocess.run(["nsenter", "-t", str(p.pid), "-n", sys.executable, "-c", ELSEWHERE, words], capture_output=True, text=True,
                                  check=True, timeout=DEADLINE).stdout
            for way, code, got in zip(ways, codes, json.loads(said)):
                t.equal(got, [code, code, 200, 200], f"{flag or 'without --page'}: {way}; probes and metrics are always answered")


def shown(t: Tap) -> None:
    """What it says is what is."""
    port = free_port()
    with Node() as n:
        source = n.dir / "sources"
        source.mkdir()
        (source / "wrong.json").write_text('{"filesytem": {}}')
        n.configure(profiles_dir=str(source))
        (n.launcher.parent / "nono").write_bytes(b"\x7fELF" + bytes(70_000) + b"\0nono 9.8.7\n\0")
        (n.node_dir / "bin").mkdir(parents=True)
        (n.node_dir / "bin/nono-runc").write_bytes(bytes(65536 - 12) + b"\0nono-runc 0.0.1-rc.2\n")
        n.spawn("--listen", f"127.0.0.1:{port}", env={**os.environ, "NODE_NAME": "node-7"})
        n.wait_entry("started")
        s = state(port)
        t.equal((s["ready"], s["reason"], s["connection"]["connected"], s["node"]), (False, "not connected to the runtime", False, "node-7"),
                "before there is a runtime it is not ready, and says so")
        n.connect()
        n.must(f"create id=c-1 uid=u-1 pod=p-1 ns=team name=main {SH}")
        n.must(f"create id=c-2 uid=u-2 pod=p-2 ns=team name=side {SH} annotation=nono.sh/profile:strict")
        n.call("create id=c-3 annotation=nono.sh/profile:nosuch arg=sh")
        s = wait_until(lambda: len(state(port)["containers"]) == 2 and state(port), "the containers")
        rows = {c["container_id"]: (c["namespace"], c["pod"], c["container"], c["profile"], c["runtime_handler"], c["guard"]) for c in s["containers"]}
        t.equal(rows, {"c-1": ("team", "p-1", "main", "default", "nono-runc", False), "c-2": ("team", "p-2", "side", "strict", "nono-runc", False)},
                "containers, with profile and guard")
        t.equal((s["ready"], s["complete"], s["connection"]["runtime"], s["decisions"]["injected"], s["decisions"]["refused"]),
                (True, True, "containerd 2.3.4", 2, 1), "the connection, and what was decided")
        t.equal((s["rejected_profiles"][0]["name"], "filesytem" in s["rejected_profiles"][0]["reason"]), ("wrong", True), "a rejected profile, with its mistake")
        t.equal([(r["namespace"], r["pod"], r["container"], r["by"], "'nosuch' does not exist" in r["reason"]) for r in s["refused"]],
                [("ns-1", "pod-1", "app", "nono-nri", True)], "what was refused, and why")
        t.equal(s["handlers"], [{"name": "nono-runc", "guard": False}], "handlers, and which of them have the guard")
        t.ok(sum(s["latency"]["counts"]) == 3 and len(s["latency"]["counts"]) == len(s["latency"]["below_us"]) + 1, "how long answers took", s["latency"])
        version = (ROOT / "VERSION").read_text().strip()
        t.equal({p["name"]: p["version"] for p in s["programs"]}, {"nono-nri": version, "nono": "9.8.7", "nono-runc": "0.0.1-rc.2"},
                "the versions of the programs that lie on the node, whatever ours is")
        (n.node_dir / "bin/nono-runc").write_bytes(b"\0nono-runc 0.0.2\n")
        t.equal({p["name"]: p["version"] for p in state(port)["programs"]}["nono-runc"], "0.0.2", "... also when one is replaced")
        n.must("remove id=c-1 uid=u-1 pod=p-1 ns=team")
        t.equal([c["container_id"] for c in state(port)["containers"]], ["c-2"], "a container that is gone is gone")
        n.must("close")
        n.must("accept")
        n.must("sync n=3 wrapped=0 arg=sh")
        s = wait_until(lambda: len(state(port)["containers"]) == 3 and state(port), "what runs outside")
        t.ok(all("args do not start with" in c["unsandboxed"] for c in s["containers"]), "what runs outside the sandbox, with the reason", s["containers"])
    with Node() as n:
        n.state.write_text("a file in the directory's place")
        n.start("--listen", f"127.0.0.1:{port}")
        s = state(port)
        t.equal((s["state_directory"], s["containers"]), (False, []), "that there is no state directory is said, not taken for no containers")


def feed(t: Tap) -> None:
    """The records of the denial feed, another process: the last ones, in order, whole lines, and nothing from beside them."""
    def tail() -> list[bytes]:
        status, headers, body = ask(port, "/denials.jsonl")
        assert status == 200 and headers["content-type"] == "application/x-ndjson", headers
        return body.splitlines(keepends=True)

    port = free_port()
    with Node() as n:
        n.start("--listen", f"127.0.0.1:{port}")
        log, old, sandboxes = (n.denials_dir / name for name in ("log", "log.1", "sandboxes"))
        t.equal((state(port)["denial_feed"], tail()), ("off", []), "no feed: that is said")
        sandboxes.write_text("")
        t.equal((state(port)["denial_feed"], tail()), ("on", []), "a feed that has nothing to tell yet is on")
        os.utime(sandboxes, (time.time() - 60, time.time() - 60))
        t.equal(state(port)["denial_feed"], "off", "one that was last there a minute ago is off")
        lines = [json.dumps({"n": i, "what": "read", "path": "x" * (i % 200)}).encode() + b"\n" for i in range(20_000)]
        old.write_bytes(b"".join(lines[:10_000]))
        log.write_bytes(b"".join(lines[10_000:10_010]))
        got = tail()
        t.ok(got == lines[10_010 - len(got):10_010] and len(got) > 1000, f"the last {len(got)} lines, those of the older file first")
        log.write_bytes(b"".join(lines[10_000:]))
        got = tail()
        t.ok(got == lines[-len(got):] and 0 < sum(map(len, got)) <= 512 * 1024, f"a longer one has its last {len(got)}", got[:1])
        noise = random.Random(24).randbytes(100_000)
        log.write_bytes(noise)
        old.unlink()
        t.ok(b"".join(tail()) == noise, "bytes are handed on as they are")
        for other in (n.config, n.denials_dir):
            log.unlink()
            log.symlink_to(other)
            t.equal(tail(), [], "a link leads nowhere")
        log.unlink()
        os.mkfifo(log)
        t.equal(tail(), [], "nothing waits for a pipe")


def names(t: Tap) -> None:
    """Whatever a pod, a container or a namespace is called comes out as a JSON string with that value, in ASCII where it could be obeyed."""
    made, start = {}, seed.choose()
    rng = random.Random(start)
    alphabet = [chr(c) for r in ((0x21, 0x7f), (0xa1, 0x180), (0x2000, 0x2070), (0xfe00, 0xfe10), (0x1f600, 0x1f620)) for c in range(*r) if chr(c) not in "= "]
    strings = [s for s in hostile.STRINGS.values() if not {"\n", "\r", " ", "\t", "="} & set(s) and len(s) < 1000]
    strings += ["</script><script>alert(1)</script>", "<img/src/onerror>", "]}", '"', "\\", "\\u0041", "'--", "{{7*7}}", "&lt;"]
    strings += ["".join(rng.choices(alphabet, k=rng.randint(1, 40))) for _ in range(60)]
    port = free_port()
    with Node() as n:
        n.start("--listen", f"127.0.0.1:{port}")
        for i, s in enumerate(strings):
            made[f"c-{i}"] = (s, s[::-1], s + s)
            n.must(f"create id=c-{i} uid=u-{i} pod={s} ns={s[::-1]} name={s + s} {SH}")
        body = wait_until(lambda: len(state(port)["containers"]) == len(made) and ask(port, "/status.json")[2], "the containers")
        got = {c["container_id"]: (c["pod"], c["namespace"], c["container"]) for c in json.loads(body)["containers"]}
        for s in strings[-20:]:
            n.call(f"create id=r uid={s} pod={s} ns=x name={s} annotation=nono.sh/profile:{s} {SH}")
        body = ask(port, "/status.json")[2]
        t.equal([r["pod"] for r in json.loads(body)["refused"]], strings[:-17:-1], "... also those of refused ones, the last 16")
        t.equal(got, made, f"{len(made)} hostile names come out as they are (seed {start})")
        t.equal(hostile.raw(body), "", "... and no byte of them is one that something would obey")


def many(t: Tap) -> None:
    """5,000 containers: all of them, in bounded memory, also for many who take them slowly."""
    port = free_port()
    with Node() as n:
        p = n.start("--listen", f"127.0.0.1:{port}", sync=f"n={MANY} launcher={n.launcher.parent} {SH}")
        wait_until(lambda: len(list(n.state.glob("uid-*"))) == MANY, "the state")
        before, cpu = resident_kib(p), cpu_seconds(p)
        status, _, body = ask(port, "/status.json")
        s = json.loads(body)
        t.ok(status == 200 and s["complete"] and len({c["container_id"] for c in s["containers"]}) == MANY, f"{MANY} containers, each once")
        print(f"# {len(body) >> 10} KiB took {(cpu_seconds(p) - cpu) * 1e3:.0f} ms of CPU")
        slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(64)]
        for s in slow:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(b"GET /status.json HTTP/1.1\r\n\r\n")
        for s in slow:
            select.select([s], [], [], DEADLINE)
        codes = [s.recv(12)[9:] for s in slow]
        grown = resident_kib(p) - before
        for s in slow:
            s.close()
        t.ok(set(codes) == {b"200", b"503"} and codes.count(b"200") <= 10 and grown < 4096,
             f"of 64 who do not take it {codes.count(b'200')} hold on and the others are told to come again; {grown} KiB of 4096", codes)
        t.equal(ask(port, "/healthz")[0], 200, "and probes are answered")


# Clients in a process of their own: so many that hold on with half a request, and as many more, one after the other, that ask for the most that there is.
ATTACK = """
import resource, select, socket, sys
port, n = int(sys.argv[1]), int(sys.argv[2])
hard = max(n + 512, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
poll, clients, made = select.epoll(), {}, 0
def begin():
    global made
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", port))
    clients[s.fileno()] = s
    poll.register(s, select.EPOLLOUT | select.EPOLLIN)
    made += 1
while True:
    for _ in range(min(200, n - len(clients))):
        begin()
    for fd, events in poll.poll(0.01, 500):
        s = clients[fd]
        try:
            if events & (select.EPOLLHUP | select.EPOLLERR) or events & select.EPOLLIN and not s.recv(65536):
                raise OSError
            if events & select.EPOLLOUT:
                s.send(b"GET /status.json HTTP/1.1\\r\\n\\r\\n" if fd % 4 == 0 else b"GET / HTTP/1.1\\r\\nX: ")
                poll.modify(s, select.EPOLLIN)
        except OSError:
            poll.unregister(s)
            del clients[fd]
            s.close()
    if made >= n and sys.argv[3:]:
        print(made, flush=True)
        del sys.argv[3:]
"""


def attacked(t: Tap) -> None:
    """What the runtime waits for an answer while 10,000 clients hold on to the port or ask for all containers: beside the same attack on a twin of the
    plugin's, which takes the same from the machine."""
    def bench() -> dict:
        rounds = [victim.must(f"bench n=300 {SH}") for _ in range(6)]
        return {k: min(r[k] for r in rounds) for k in ("p50", "mean", "p99")}

    ports = free_port(), free_port()
    with Node() as victim, Node() as twin:
        plugins = [n.start("--listen", f"127.0.0.1:{port}", "--log-level", "warn", sync=f"n={MANY} launcher={n.launcher.parent} {SH}") for n, port in zip((victim, twin), ports)]
        victim.must(f"bench n=300 {SH}")
        alone, took = bench(), {}
        for what, port, p in (("twin", ports[1], plugins[1]), ("victim", ports[0], plugins[0])):
            with subprocess.Popen([sys.executable, "-c", ATTACK, str(port), str(ATTACKERS), "tell"], stdout=subprocess.PIPE) as attack:
                try:
                    select.select([attack.stdout], [], [], DEADLINE)
                    made, cpu = int(attack.stdout.readline()), cpu_seconds(p)
                    took[what] = bench()
                    took[what]["cpu"] = cpu_seconds(p) - cpu
                finally:
                    attack.kill()
        t.ok(made >= ATTACKERS, f"control: {made} connections were made")
        print(f"# us to answer, median, mean and 99 in 100: {alone} alone, {took['twin']} beside the attack on another one, {took['victim']} under attack")
        # One call of the loop that does all there is to do costs each hundredth answer 50 ms and more, which the mean shows.
        ratio = took["victim"]["p50"] / took["twin"]["p50"], took["victim"]["mean"] / took["twin"]["mean"]
        t.ok(max(ratio) < 4, f"an answer under attack takes {ratio[0]:.2f} times, by the mean {ratio[1]:.2f} times what it takes beside one, of 4")
