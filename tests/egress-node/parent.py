# SPDX-License-Identifier: Apache-2.0
"""parent.py quick|all: the parent with real workers: a pod is closed, served by name, taken up again, and ends."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from field import BIN, DIR, DNS, INTERNET, INTERNET6, OTHER, PORT, Field, Parent, Refused, inside, own_place, rules, sh  # noqa: E402
from lib.tap import Tap  # noqa: E402
from lib.wait import DEADLINE, wait_until  # noqa: E402

HOSTS = ("host ok.test 443", "host *.wild.test 443", "host ok.test 80", "host inner.test 443", "ask #sandbox")
# Ways out that a process with all of root's rights but raw sockets has; each prints "out" if it got an answer.
WAYS = {
    "TCP to a raw address": f"s=socket.create_connection(('{INTERNET}',443),3)",
    "TCP to the broker's port elsewhere": f"s=socket.create_connection(('{OTHER}',80),3)",
    "TCP over IPv6": f"s=socket.create_connection(('{INTERNET6}',443),3)",
    "TCP bound to the interface": f"s=socket.socket();s.settimeout(3);s.setsockopt(1,25,b'eth0');s.connect(('{INTERNET}',443))",
    "TCP with a mark of its own": f"s=socket.socket();s.settimeout(3);s.setsockopt(1,36,1);s.connect(('{INTERNET}',443))",
    "TCP fast open": f"s=socket.socket();s.settimeout(3);s.sendto(b'x',0x20000000,('{INTERNET}',443))",
    "MPTCP": f"s=socket.socket(2,1,262);s.settimeout(3);s.connect(('{INTERNET}',443))",
    "UDP": f"s=socket.socket(2,2);s.settimeout(3);s.connect(('{INTERNET}',9999));s.send(b'x')",
    "UDP to the name server": "s=socket.socket(2,2);s.settimeout(3);s.connect(('10.96.0.10',53));s.send(b'x'*12)",
    "ICMP": f"s=socket.socket(2,3,1);s.sendto(bytes([8,0,247,255,0,0,0,0]),('{INTERNET}',0))",
    "SCTP-like raw IP": f"s=socket.socket(2,3,132);s.sendto(b'x'*12,('{INTERNET}',0))",
}


def attempt(pod, code: str) -> tuple[bool, str]:
    """Whether a frame of it left the pod, and what the program saw."""
    p, out = pod.watched(lambda: pod.run(sys.executable, "-c", f"import socket\n{code}\nprint('sent')"))
    return bool(out), f"{p.stdout}{p.stderr} {out}"


def closes(t: Tap, f: Field, parent: Parent) -> None:
    pod = f.pod("a")
    for name, code in WAYS.items():
        out, why = attempt(pod, code)
        t.ok(out, f"control: {name} leaves an open pod", why)
    t.equal(parent.open(pod, rules(*HOSTS)), "new", "a pod is opened")
    table = pod.nft()
    for part in ("table inet nono-egress", "hook output", "policy drop", 'oif "lo" accept', "tcp flags syn / syn,ack", "reject with tcp reset", "meta mark 0x"):
        t.ok(part in table or part == "tcp flags syn / syn,ack" and "tcp flags & (syn | ack) != syn" in table or "!= syn" in table and part.startswith("tcp flags"),
             f"nft sees '{part}'", table)
    with inside(pod.path):
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            s = socket.socket(family)
            s.connect((address, PORT))
            s.close()
    t.ok(f"127.0.0.1:{PORT}" in pod.run("ss", "-Hltn").stdout, "ss sees the listener on the pod's loopback")
    for name, code in WAYS.items():
        out, why = attempt(pod, code)
        t.ok(not out, f"closed: {name}", why)
    out, why = attempt(pod, f"import threading\nl=socket.create_server(('{pod.address}',0))\n"
                            "socket.create_connection(l.getsockname(),3);socket.create_connection(('127.0.0.1',3128),3)")
    t.ok("sent" in why and not out, "the pod's own address and the loopback stay open", why)
    start = time.monotonic()
    p = pod.run(sys.executable, "-c", f"import socket\ntry: socket.create_connection(('{INTERNET}',443),60)\nexcept OSError as e: print(e)")
    t.ok("refused" in p.stdout and time.monotonic() - start < 30, "a forbidden connection is refused at once", p.stdout + p.stderr)


def inbound(t: Tap, f: Field) -> None:
    pod = f.pods[0]
    with inside(pod.path):
        listeners = [socket.create_server((a, 8080), family=x) for a, x in ((pod.address, socket.AF_INET), (pod.address6, socket.AF_INET6))]
    for listener in listeners:
        address = listener.getsockname()[0]
        with inside(f"/run/netns/{f.world}"):
            c = socket.create_connection((address, 8080), timeout=DEADLINE)
        s, _ = listener.accept()
        s.sendall(b"ready")
        t.equal(c.recv(5), b"ready", f"who comes from outside, as a probe does, is answered ({address})")


def serves(t: Tap, f: Field, parent: Parent) -> None:
    pod = f.pods[0]
    t.ok("GET /tls" in f.tls.requests[-1][0].decode() if "200" in pod.connect() and f.tls.requests else False, "an allowed host is reached by name")
    t.ok("403" in pod.connect("other.test"), "another host is refused")
    t.ok("403" in pod.connect("inner.test"), "a name that leads into the cluster is refused")
    t.ok("200" in pod.proxy("GET http://ok.test/ HTTP/1.1\r\nHost: ok.test\r\nConnection: close\r\n\r\n"), "plain HTTP")
    wait_until(lambda: len(parent.records()) >= 4, "records")
    r = parent.records()
    t.ok({x["verdict"] for x in r} == {"allowed", "refused"} and all(x["pod"] == f"ns/a/{pod.uid}" for x in r) and any(x["name"] == "other.test" for x in r),
         "each connection is in the log", r)


def told(t: Tap, f: Field, parent: Parent) -> None:
    """What the broker refuses is told with all else that is denied, and counted."""
    pod, out = f.pods[0], f.dir / "told"
    with open(out, "wb") as to, open(f.dir / "told-log", "wb") as log:
        feed = subprocess.Popen([BIN / "kubefence", "denials", "--output=json", f"--listen={f.dir}/told-socket", "--window=1"], stdout=to, stderr=log)
    try:
        wait_until(lambda: "started" in (f.dir / "told-log").read_text() or feed.poll() is not None, "the feed")

        def lines(name: str) -> list[dict]:
            return [d for d in map(json.loads, out.read_text().splitlines()) if d.get("path") == name]

        pod.connect("other.test")
        line = wait_until(lambda: lines("other.test"), "the line")[0]
        t.equal((line["kind"], line["what"], line["namespace"], line["pod"], line["podUid"], line["profile"], line["port"], line["blockers"], line["rule"]),
                ("egress", "reach", "ns", "a", pod.uid, "test", 443, "egress.host", {"network": {"allow_domain": [{"domain": "other.test", "ports": [443]}]}}),
                "the feed of denials tells what the broker refused, to whom, and what would allow it")
        for _ in range(5):
            pod.connect("other.test")
        wait_until(lambda: sum(d["count"] for d in lines("other.test")) == 6, "all to be counted")
        t.ok(len(lines("other.test")) < 6, "... folded, and each counted", lines("other.test"))
        (DIR / "connections.log").rename(DIR / "connections.log.1")
        (DIR / "connections.log").write_text('nonsense\n{"verdict":"refused"\n{"time":1,"pod":"x","name":"odd.test","port":-1,"verdict":"refused"}\n')
        line = wait_until(lambda: lines("odd.test"), "a line of the next log")[0]
        t.equal((line["namespace"], line.get("port")), ("", None), "the next log is read after the last one; what is odd in it harms nobody")
        (DIR / "connections.log.1").rename(DIR / "connections.log")
        shown = subprocess.run([BIN / "kubefence", "logs", "a"], capture_output=True, text=True)
        t.ok("ns/a" in shown.stdout and "may not reach other.test:443 (egress.host)" in shown.stdout and "allow_domain" in shown.stdout, "kubefence logs shows them", shown)
        (f.dir / "told-lines").write_text("".join(json.dumps(d) + "\n" for d in lines("other.test")))
        learned = subprocess.run([BIN / "kubefence", "learn", "--from", f.dir / "told-lines", "--profile", "default", "--to", f.dir / "learned.json"], capture_output=True, text=True)
        t.equal(json.loads((f.dir / "learned.json").read_text())["network"] if learned.returncode == 0 else learned.stderr, {"allow_domain": [{"domain": "other.test", "ports": [443]}]},
                "kubefence learn writes the host into a profile")
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(f.dir / "told-socket"))
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = "".join(iter(lambda: s.recv(65536).decode(), ""))
        t.ok('kubefence_denials_total{profile="test",kind="egress"} 6' in text, "... and its metrics count them", text)
    finally:
        feed.terminate()
        t.equal(feed.wait(60), 0, "the feed ends when it is told to")


# SYS_ADMIN, NET_ADMIN, SETUID, SETGID, SETPCAP, KILL
KEPT = sum(1 << n for n in (21, 12, 7, 6, 8, 5))


def confined(t: Tap, f: Field, parent: Parent) -> None:
    """What the parent has given up itself."""
    def status(pid: int) -> dict[str, str]:
        return {k: v.strip() for k, v in (x.split(":", 1) for x in Path(f"/proc/{pid}/status").read_text().splitlines())}

    own, s = status(os.getpid()), status(parent.process.pid)
    t.ok(own["Seccomp"] == "0" and int(own["CapEff"], 16) & ~KEPT, "control: who started it has more", own)
    t.equal((s["NoNewPrivs"], s["Seccomp"], {int(s[k], 16) for k in ("CapPrm", "CapEff", "CapBnd")}, int(s["CapInh"], 16) | int(s["CapAmb"], 16)), ("1", "2", {KEPT}, 0),
            "the parent keeps six capabilities and has a filter of its calls")
    w = status(parent.workers()["a"])
    t.equal((w["Uid"].split()[0] != "0", {int(w[k], 16) for k in ("CapPrm", "CapEff", "CapBnd")}), (True, {0}), "its workers none")
    t.ok('"confined","landlock":"' in parent.log.read_text(), "and a Landlock domain")


def again(t: Tap, f: Field, parent: Parent) -> None:
    pod = f.pods[0]
    t.equal(parent.open(pod, rules(*HOSTS)), "again", "a second container with the same rules")
    for what, text in (("other rules", rules("host x.test 443")), ("damaged rules", rules(*HOSTS)[:-2] + "0\n")):
        try:
            parent.open(pod, text)
            t.ok(False, f"{what} are refused")
        except Refused as e:
            t.ok("other egress rules" in str(e), f"a container with {what} in one pod is refused", e)
    home = Path("/proc/self/ns/net")
    refused = {}
    for what, change in {
        "the node's own namespace": {"path": str(home), "inode": home.stat().st_ino},
        "a namespace that is not at its path": {"path": "/run/netns/none"},
        "another inode": {"inode": 1},
    }.items():
        other = f.pod(f"x{len(f.pods)}")
        if "own" in what:
            other.path = str(home)
        try:
            parent.open(other, rules(*HOSTS), **change)
        except Refused as e:
            refused[what] = str(e)
        t.ok(what in refused, f"refused: {what}", refused)
        t.ok("nono-egress" not in sh("nft", "list", "ruleset"), "the node's own namespace stays as it is")
    for packet in (b"", b"x", b"egress-pod 1\n", parent.text(pod, "nono-egress 1\n"), b"egress-pod 1\n" + b"a" * 100000, b"egress-pod 1\nrules\n\n"):
        if packet:
            t.ok(parent.send(packet).startswith("error "), f"refused: a packet {packet[:20]!r}...")


def ends(t: Tap, f: Field, parent: Parent) -> None:
    pod = f.pods[0]
    old = parent.workers()["a"]
    for what, how in (("killed", signal.SIGKILL), ("stopped", signal.SIGSTOP)):
        before = parent.workers()["a"]
        os.kill(before, how)
        wait_until(lambda b=before: parent.workers().get("a", b) != b and "200" in pod.connect(), f"a new worker after one was {what}")
        t.ok(True, f"a worker that was {what} has a successor")
    out, why = attempt(pod, WAYS["TCP to a raw address"])
    t.ok(not out, "the pod stayed closed", why)
    mark = [line for line in pod.nft().splitlines() if "mark" in line]
    parent.stop(signal.SIGKILL)
    for name, code in (WAYS if "all" in sys.argv else {k: WAYS[k] for k in ("TCP to a raw address", "UDP")}).items():
        out, why = attempt(pod, code)
        t.ok(not out, f"closed while there is no parent: {name}", why)
    with inside(pod.path):
        s = socket.socket()
        s.settimeout(10)
        wait_until(lambda: s.connect_ex(("127.0.0.1", PORT)) != 0, "the worker's end")
    parent.start()
    wait_until(lambda: "a" in parent.workers() and "200" in pod.connect(), "the pod to be served again")
    t.ok(parent.workers()["a"] != old and [x for x in pod.nft().splitlines() if "mark" in x] == mark, "a parent that was killed has a successor that takes the pod up again")
    t.equal(parent.open(pod, rules(*HOSTS)), "again", "and knows its rules")
    inode = os.stat(pod.path).st_ino
    worker = parent.workers()["a"]
    pod.delete()
    wait_until(lambda: not Path(f"/proc/{worker}").exists() and not (DIR / f"pods/{inode}").exists(), "the pod's end")
    t.ok(True, "a pod's end ends its worker and its record")
    t.equal(parent.stop(), 0, "SIGTERM ends the parent")
    parent.start()
    t.ok("a" not in parent.workers(), "after a restart it is not there")


def waited(t: Tap, f: Field, parent: Parent) -> None:
    """What a restarted parent cannot open yet, as the kubelet's directories after a boot, it waits for; the pod stays closed."""
    pod, secret, away = f.pod("w"), f.dir / "agent-keys", f.dir / "away"
    secret.mkdir()
    (secret / "key").write_text("sk")
    text = rules(*HOSTS, "secret agent-keys", "route /api https://ok.test", "credential 0 key x-api-key plain")
    t.equal(parent.open(pod, text, [secret]), "new", "a pod with a Secret is opened")
    record = DIR / f"pods/{os.stat(pod.path).st_ino}"
    parent.stop(signal.SIGKILL)
    secret.rename(away)
    parent.start()
    wait_until(lambda: "agent-keys" in parent.log.read_text()[parent.at:], "the parent to miss the Secret")
    out, why = attempt(pod, WAYS["TCP to a raw address"])
    t.ok(not out and record.exists() and "w" not in parent.workers(), "without the Secret the pod stays closed, has no worker, and is not forgotten", why)
    away.rename(secret)
    wait_until(lambda: "w" in parent.workers() and "200" in pod.connect(), "the pod to be served")
    t.ok(True, "... and is served when it is there")
    pod.delete()
    wait_until(lambda: not record.exists(), "the pod's end")
    for name, contents in {"1": b"egress-pod 1\nnonsense\n", "2": b""}.items():
        (DIR / "pods" / name).write_bytes(contents)
    parent.stop()
    parent.start()
    t.equal([p.name for p in (DIR / "pods").iterdir()], [], "records that say nothing are removed")


MANY = 200


def name_servers(t: Tap, f: Field, parent: Parent) -> None:
    """A pod's owner chooses the pod's name servers, and so where a name would lead."""
    f.foreign.names["ok.test"] = [OTHER]
    pod = f.pod("servers")
    foreign = (OTHER, f"::ffff:{OTHER}", f"0:0:0:0:0:ffff:{OTHER}", INTERNET6, INTERNET, pod.address, pod.address6, "127.0.0.1", "127.0.0.53", "127.255.255.254", "::1", "::ffff:127.0.0.1", "0.0.0.0",
               "::", "::ffff:0.0.0.0", "010.96.0.10", "10.96.10", "174063626", f"{DNS}:53", f"[{DNS}]", f"{DNS},{OTHER}", "10.96.0.1", "10.96.0.100", "nothing")
    lists = [[a] for a in foreign] + [[a, b] for a in foreign for b in foreign] + [[a, b, OTHER] for a in foreign for b in (INTERNET, "::1")]
    took = []
    for resolvers in [*lists, []]:
        try:
            took.append((resolvers, parent.open(pod, rules(*HOSTS), resolvers=resolvers)))
        except Refused as e:
            if "egress.resolvers" not in str(e) and not any("," in r for r in resolvers):
                took.append((resolvers, str(e)))
    t.equal(took, [], f"{len(lists)} lists of name servers of which the node trusts none are refused, and the refusal says how to trust one")
    t.ok("nono-egress" not in pod.nft(), "... and nothing was done to the pod", pod.nft())
    t.equal(parent.open(pod, rules(*HOSTS), resolvers=[OTHER, f"::ffff:{DNS}", "127.0.0.1"]), "new", "of several name servers those count that the node trusts")
    answer, out = pod.watched(pod.connect)
    t.ok("200" in answer and {x for x in out if x[2] == 53} == {("udp", DNS, 53)} and ("tcp", OTHER, 443) not in out, "... and no other is asked", (answer, out))
    # The same with a node that trusts the other one.
    parent.stop()
    with Parent(f, "--resolver", OTHER) as other:
        t.ok("servers" not in other.workers() and "egress-not-taken-up" in other.log.read_text(), "a pod whose name servers are trusted no longer is not served", other.workers())
        gone, why = attempt(pod, WAYS["TCP to a raw address"])
        t.ok(not gone, "... and stays closed", why)
        control = f.pod("control")
        t.equal(other.open(control, rules(*HOSTS), resolvers=[OTHER]), "new", "control: a name server that the administrator names is taken")
        _, out = control.watched(control.connect)
        t.ok(("tcp", OTHER, 443) in out, "control: it decides where the name leads", out)
    control.delete()
    parent.start()
    for what in ("127.0.0.1", "::1", "0.0.0.0", "::", "dns.test", ""):
        p = subprocess.run([parent.words[0], "serve", "--resolver", what], capture_output=True, text=True, timeout=60)
        t.ok(p.returncode == 2 and "name server" in p.stderr, f"--resolver '{what}' is refused", p)
    pod.delete()


def many(t: Tap, f: Field, parent: Parent) -> None:
    """Two hundred pods, in each of which a process tries to get out without pause, while the parent is killed and comes back."""
    subprocess.run(["gcc", "-static", "-O1", "-o", f"{f.dir}/ways", f"{HERE}/ways.c"], check=True)
    pods = [f.pod(f"m{i}") for i in range(MANY)]
    control = f.pod("open")
    start = time.monotonic()
    for p in pods:
        parent.open(p, rules(*HOSTS, name=p.name))
    print(f"# {(time.monotonic() - start) * 1000 / MANY:.1f} ms to close and serve a pod, of {MANY}")
    processes = [subprocess.Popen(["nsenter", f"--net={p.path}", f.dir / "ways", "hammer", INTERNET]) for p in (*pods, control)]
    try:
        wait_until(lambda: {x[0] for x in control.sniffer.out()} >= {"tcp", "udp"}, "what leaves the open pod")
        for how in (signal.SIGKILL, signal.SIGTERM):
            before = len(control.sniffer.seen)
            parent.stop(how)
            wait_until(lambda b=before: len(control.sniffer.seen) > b + 20, "the processes to have tried")
            start = time.monotonic()
            parent.start()
            wait_until(lambda: len(parent.workers()) == MANY and all(f'ns/{p.name}/' in parent.log.read_text()[parent.at:] for p in pods), "all workers")
            print(f"# {time.monotonic() - start:.1f} s until all {MANY} are served again after {how.name}")
            t.equal(len(parent.workers()), MANY, f"a parent ended by {how.name} has a successor that takes up {MANY} pods")
        out = {p.name: p.sniffer.out() for p in pods if p.sniffer.out()}
        t.ok(not out and all(p.poll() is None for p in processes), "nothing left any of them meanwhile, while all tried; control: an open pod's process gets out", out)
        wrong = [p.name for p in pods if "200" not in p.connect()]
        t.equal(wrong, [], "each is served")
    finally:
        for p in processes:
            p.kill()
            p.wait()
    for p in pods:
        p.delete()
    wait_until(lambda: not [w for w in parent.workers() if w.startswith("m")] and not list((DIR / "pods").glob("[0-9]*")), "their ends")
    t.ok(True, "all end, and leave nothing")


def main() -> int:
    t = Tap()
    own_place()
    with Field() as f, Parent(f) as parent:
        t.case("closes", closes, t, f, parent)
        t.case("inbound", inbound, t, f)
        t.case("serves", serves, t, f, parent)
        t.case("told", told, t, f, parent)
        t.case("confined", confined, t, f, parent)
        t.case("again", again, t, f, parent)
        t.case("ends", ends, t, f, parent)
        t.case("waited", waited, t, f, parent)
        t.case("name_servers", name_servers, t, f, parent)
        if "all" in sys.argv:
            t.case("many", many, t, f, parent)
        if t.failed:
            print("\n".join(f"# {line}" for line in parent.log.read_text().splitlines()[-30:]))
    return t.done()


sys.exit(main())
