# SPDX-License-Identifier: Apache-2.0
"""The worker as a process: what it may do, holds and costs; its parent; its limits."""
import fcntl
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import hello
from harness import BROKER, KEY, PASSWORD, Broker, Place, wait_until
from lib import build, seed
from lib.tap import Tap
from servers import Stream

UID, GID = 64321, 64322


def status(pid: int) -> dict[str, str]:
    return {k: v.strip() for k, v in (x.split(":", 1) for x in Path(f"/proc/{pid}/status").read_text().splitlines())}


def private_kib(pid: int) -> int:
    """Memory that is this process' alone."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(x) for x in re.findall(r"Private_(?:Clean|Dirty):\s+(\d+) kB", rollup))


def descriptors(pid: int) -> dict[int, str]:
    held = {}
    for x in os.listdir(f"/proc/{pid}/fd"):
        try:
            held[int(x)] = os.readlink(f"/proc/{pid}/fd/{x}")
        except FileNotFoundError:  # closed meanwhile
            pass
    return held


def confined(t: Tap, place: Place) -> None:
    stray = tuple(os.open("/etc/shadow", os.O_RDONLY) for _ in range(3)) + (os.dup2(0, 777),)
    with Broker(place, "", "--uid", str(UID), "--gid", str(GID), pass_fds=stray) as b:
        t.ok(len(set(stray) & set(descriptors(b.process.pid))) == 4, "control: the parent leaves descriptors open", stray)
        t.equal(b.ask(f"GET /api/x HTTP/1.1\r\nHost: {b.url[7:]}\r\nConnection: close\r\n\r\n".encode())[0], 200, "control: a worker of its own user serves")
        s = status(b.worker)
        t.equal((s["Uid"].split(), s["Gid"].split(), s["Groups"]), ([str(UID)] * 4, [str(GID)] * 4, ""), "the worker is a user of its own, in no further group")
        t.equal((s["NoNewPrivs"], s["Seccomp"], {s[k] for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}), ("1", "2", {"0" * 16}),
                "... with no new privileges, a filter, and no capability")
        t.equal(s["Threads"], "1", "... and one thread")
        held = descriptors(b.worker)
        files = sorted(x for fd, x in held.items() if fd > 2 and not x.startswith(("socket:", "anon_inode:", "pipe:")))
        t.equal(files, sorted([str(place.keys), str(b.records_file), str(place.dir / "ca.pem")]), "... and holds the keys' directory, the records and the authorities")
        t.ok(777 not in held, "... not what its parent left open", held)
        limits = Path(f"/proc/{b.worker}/limits").read_text()
        t.ok(re.search(r"Max core file size\s+0\s+0", limits), "... and leaves no core dump", limits)
        t.equal(os.stat(f"/proc/{b.worker}/mem").st_uid, 0, "... nor lets its user look into its memory")
    for fd in stray:
        os.close(fd)


LAYOUTS = 25


def layouts(t: Tap, place: Place) -> None:
    """Whatever numbers a parent's descriptors have, a worker keeps those that it is told of, and no other."""
    start = seed.choose()
    r = random.Random(start)
    wrong = []
    for _ in range(LAYOUTS):
        ours, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        records, listener = open(place.dir / "layout-records", "ab"), socket.create_server(("127.0.0.1", 0))
        rules = tempfile.TemporaryFile()
        text = place.rules().encode()
        rules.write(text + b"sum " + hashlib.sha256(text).hexdigest().encode() + b"\n")
        rules.seek(0)
        keys, ca = os.open(place.keys, os.O_PATH | os.O_DIRECTORY), open(place.dir / "ca.pem", "rb")
        what = {"--rules": rules.fileno(), "--control": control.fileno(), "--records": records.fileno(), "--listen": listener.fileno(), "--secrets": keys, "--ca": ca.fileno()}
        numbers = r.sample(range(3, r.choice((9, 12, 40, 900))), len(what))
        strays = [n for n in r.sample(range(3, 1000), 12) if n not in numbers]
        moves = dict(zip(numbers, what.values()))

        def arrange(moves=moves, strays=strays) -> None:
            high = {n: fcntl.fcntl(fd, fcntl.F_DUPFD, 2000) for n, fd in moves.items()}
            for n, fd in high.items():
                os.dup2(fd, n)
            for n in strays:
                os.dup2(0, n)

        words = [w for option, n in zip(what, numbers) for w in (option, str(n))]
        p = subprocess.Popen([BROKER, "worker", *words, "--resolver", "127.0.0.1", "--pod", "ns/layout/0"], preexec_fn=arrange, close_fds=False,
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        control.close()
        if ours.recv(64):
            held = descriptors(p.pid)
            # What it has made itself may have got a stray's number.
            more = {fd for fd, to in held.items() if fd > 2 and (to == "/dev/null" or fd >= 2000)}
            if more or not set(numbers) - {numbers[0]} <= set(held):
                wrong.append((sorted(numbers), sorted(strays), held))
        else:
            wrong.append((numbers, p.stderr.read().decode()))
        ours.close()
        p.wait(60)
        p.stderr.close()
        for x in (records, listener, rules, ca):
            x.close()
        os.close(keys)
    t.equal(wrong, [], f"of {LAYOUTS} layouts of descriptors a worker keeps what it is told of, and nothing else (seed {start})")


def memory(t: Tap, place: Place) -> None:
    """The key is in the worker's memory while a request is sent, and not afterwards."""
    needles = [KEY.encode(), PASSWORD.encode(), b"eC10b2tlbjpnaHBfdGVzdF90aGVfcGFzc3dvcmQ"]

    def found(pid: int) -> list[bytes]:
        seen = []
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                span, access, *rest = line.split()
                if not access.startswith("r") or rest[-1:] in (["[vvar]"], ["[vsyscall]"], ["[vvar_vclock]"]):
                    continue
                first, last = (int(x, 16) for x in span.split("-"))
                mem.seek(first)
                try:
                    data = mem.read(last - first)
                except OSError:
                    continue
                seen += [n for n in needles if n in data]
        return seen

    with Broker(place) as b:
        for path in ("/api", "/git"):
            with b.connect() as c:
                # An answer without the request, which the test's server would send back with the key.
                for where in ("/none", "/none", "/big?200000"):
                    c.sendall(f"GET {path}{where} HTTP/1.1\r\nHost: {b.url[7:]}\r\n\r\n".encode())
                    s = Stream(c)
                    s.message(s.until(b"\r\n\r\n"))
        t.equal(found(b.worker), [], "no key is in the worker's memory between two requests")
        t.ok(KEY.encode() in place.tls.requests[-4][0] and found(os.getpid()), "control: it was sent, and is found in the test's own memory", place.tls.requests[-4])
        locked = Path(f"/proc/{b.worker}/smaps").read_text()
        t.ok(re.search(r"Locked:\s+[1-9]\d* kB", locked) and re.search(r"VmFlags:.*\blo\b.*\bdd\b", locked), "memory for keys is locked, and in no dump", "")


def parent(t: Tap, place: Place) -> None:
    """No egress without a parent; a worker that ends is noticed."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with Broker(place) as b:
            c, _ = b.tunnel("ok.test", place.tls.port)
            worker = b.worker
            os.kill(b.process.pid, how)
            b.process.wait()
            wait_until(lambda: not Path(f"/proc/{worker}/exe").exists() or not os.path.exists(f"/proc/{worker}"), "the worker's end")
            t.ok(True, f"a worker ends with its parent ({how.name})")
            try:
                left = c.recv(1)
            except ConnectionResetError:
                left = b""
            t.equal(left, b"", "... and with it the pod's connections")
    with Broker(place) as b:
        os.kill(b.worker, signal.SIGTERM)
        t.equal(b.process.wait(60), 0, "a worker ends in order when it is told to")


CLOSED = r"""
echo devices $(tail -n +3 /proc/net/dev | cut -d: -f1)
echo caps $(sed -n 's/^CapBnd:\t//p' /proc/self/status)
echo broker $(curl -s -o /dev/null -w '%{http_code}' http://ok.test:$PORT/x)
echo direct $(curl -s --noproxy '*' -o /dev/null -w '%{http_code}' http://127.0.0.1:$PORT/x)
echo back $(nsenter --net=$OUTSIDE echo yes 2>/dev/null)
exit 7
"""
LEAD_OUT = (12, 13, 16, 19, 21)  # NET_ADMIN, NET_RAW, SYS_MODULE, SYS_PTRACE, SYS_ADMIN


def closed(t: Tap, place: Place) -> None:
    """--close: the command has a network of its own, whoever starts it."""
    with tempfile.TemporaryDirectory(dir=place.dir) as d:
        os.chmod(d, 0o755)
        rules, program = Path(d, "rules"), Path(d, "nono-egress")
        rules.write_text(place.rules())
        shutil.copy(BROKER, program)
        words = [program, "run", "--rules", rules, "--resolver", place.names.address, "--ca", place.dir / "ca.pem", "--secrets", place.keys]
        env = {**os.environ, "PORT": str(place.plain.port), "OUTSIDE": f"/proc/{os.getpid()}/ns/net"}
        for who, become in (("root", []), ("somebody", ["setpriv", f"--reuid={UID}", f"--regid={GID}", "--clear-groups"])):
            def start(*more, script: str = CLOSED, become: list = become) -> tuple[subprocess.CompletedProcess, dict[str, str]]:
                p = subprocess.run([*map(str, (*become, *words, *more)), "--", "sh", "-c", script], env=env, capture_output=True, text=True, timeout=120)
                return p, {k: v for k, _, v in (x.partition(" ") for x in p.stdout.splitlines())}

            p, said = start("--close")
            t.ok(p.returncode == 7 and said["devices"] == "lo" and said["broker"] == "200", f"--close, as {who}: a host is reached by the broker", p)
            t.ok(said["direct"] == "000" and not said["back"], f"--close, as {who}: ... and by nothing else", p)
            if who == "root":  # of another user they are about the user namespace alone
                t.ok(not any(int(said["caps"], 16) >> cap & 1 for cap in LEAD_OUT), "--close, as root: no capability that leads out", p)
            p, said = start()
            t.ok(said["broker"] == said["direct"] == "200" and said["back"] == ("yes" if who == "root" else ""), f"control: without --close, as {who}", p)
            p, _ = start("--close", script="echo ran; kill -9 $$")
            t.ok(p.returncode == 128 + signal.SIGKILL and p.stdout == "ran\n", f"--close, as {who}: it ends as the command does", p)
            p, _ = start("--close", "--listen", "127.0.0.1:1x", script="echo ran")
            t.ok(p.returncode == 1 and "ADDRESS:PORT" in p.stderr and not p.stdout, f"--close, as {who}: without its listener nothing runs", p)
            p, _ = start("--close", "--secrets", place.dir / "ca.pem", script="echo ran")
            t.ok(p.returncode == 1 and "ca.pem" in p.stderr and not p.stdout, f"--close, as {who}: without its broker nothing runs", p)
    p = subprocess.run([BROKER, "run", "--close", "--rules", "/dev/null"], capture_output=True, text=True)
    t.ok(p.returncode == 2 and "--close is about a COMMAND" in p.stderr, "--close without a command is a mistake", p)


def interrupted(t: Tap, place: Place) -> None:
    """Ctrl-C on a terminal is the command's, which may go on after it."""
    script = "trap : INT; kill -INT 0; curl -s -o /dev/null -w '%{http_code}' http://ok.test:$PORT/x"
    with tempfile.TemporaryDirectory(dir=place.dir) as d:
        rules = Path(d, "rules")
        rules.write_text(place.rules())
        words = [BROKER, "run", "--rules", rules, "--resolver", place.names.address, "--ca", place.dir / "ca.pem", "--secrets", place.keys]
        for more in ([], ["--close"]):
            p = subprocess.run([*map(str, words), *more, "--", "sh", "-c", script], env={**os.environ, "PORT": str(place.plain.port)},
                               capture_output=True, text=True, timeout=120, start_new_session=True)
            t.equal((p.stdout, p.stderr), ("200", ""), f"an interrupt is the command's, and the broker serves on {' '.join(more)}")


def full(t: Tap, place: Place) -> None:
    """There are only so many connections; who waits without a request makes room."""
    with Broker(place, "", "--connections", "20") as b:
        idle = [b.connect() for _ in range(20)]
        status, _, _ = b.ask(f"GET http://ok.test:{place.plain.port}/x HTTP/1.1\r\nHost: ok.test:{place.plain.port}\r\nConnection: close\r\n\r\n".encode())
        t.equal(status, 200, "with all connections taken by clients that ask nothing, one that asks is answered")
        for c in idle:
            c.close()
        busy = [b.tunnel("ok.test", place.tls.port)[0] for _ in range(20)]
        late = b.connect()
        late.settimeout(1)
        late.sendall(f"GET http://ok.test:{place.plain.port}/x HTTP/1.1\r\nHost: ok.test:{place.plain.port}\r\n\r\n".encode())
        try:
            got = late.recv(1)
        except TimeoutError:
            got = None
        t.equal(got, None, "with all connections busy, another one waits")
        busy.pop().close()
        late.settimeout(60)
        t.equal(late.recv(4), b"HTTP", "... and is served when one ends")
        for c in busy:
            c.close()


def flood(t: Tap, place: Place) -> None:
    """Heads without end, fields without number: refused, and soon."""
    h = f"ok.test:{place.plain.port}"
    with Broker(place) as b:
        for what, data, status in (
            ("a head without end", f"GET http://{h}/x HTTP/1.1\r\nHost: {h}\r\n".encode() + b"X: y\r\n" * 20000, 431),
            ("a field without end", f"GET http://{h}/x HTTP/1.1\r\nHost: {h}\r\nX: ".encode() + b"y" * 100000, 431),
            ("a target without end", f"GET http://{h}/".encode() + b"y" * 100000, 431),
            ("more fields than anybody needs", f"GET http://{h}/x HTTP/1.1\r\nHost: {h}\r\n".encode() + b"X: y\r\n" * 200 + b"\r\n", 400),
        ):
            t.equal(b.ask(data)[0], status, f"{what}: {status}")
        c, _ = b.tunnel("ok.test", place.tls.port)
        c.sendall(hello.record(b"\x01\x00\x3f\x00" + bytes(16000)) + hello.record(bytes(16000)))
        t.equal(c.recv(7), bytes((21, 3, 3, 0, 2, 2, 49)), "a hello that is longer than any: refused")


def cost(t: Tap, place: Place) -> None:
    """What the issue of memory comes to: idle, with idle connections, with busy ones."""
    with Broker(place, place.rules(), "--connections", "8000") as b:
        idle = private_kib(b.worker)
        t.ok(idle <= 1024, f"an idle worker has {idle} KiB of its own, at most 1024", idle)
        conns = [b.connect() for _ in range(5000)]
        wait_until(lambda: len(os.listdir(f"/proc/{b.worker}/fd")) > 5000, "the connections")
        many = private_kib(b.worker)
        busy = []
        for i in range(500):
            c = b.connect()
            c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.sendall(f"GET /api/big?400000 HTTP/1.1\r\nHost: {b.url[7:]}\r\n\r\n".encode() if i % 2 else
                      f"GET http://ok.test:{place.plain.port}/big?4000000 HTTP/1.1\r\nHost: ok.test:{place.plain.port}\r\n\r\n".encode())
            busy.append(c)
        for c in busy:
            c.recv(1)
        all_kib = private_kib(b.worker)
        t.ok(all_kib <= 64 * 1024, f"with 5000 idle connections it has {many} KiB, with 500 busy ones, half of them TLS, {all_kib} KiB, at most 65536")
        for c in conns + busy:
            c.close()
        wait_until(lambda: len(os.listdir(f"/proc/{b.worker}/fd")) < 100, "the end of the connections")
        t.ok(True, "... and lets go of all of them")


def again(t: Tap, place: Place) -> None:
    """The same tests with a build under ASan and UBSan, and with one that names the calls which its filter refuses."""
    target = "src/nono-egress/nono-egress"
    for name, setup in (("asan", build.ASAN), ("debug", ("--buildtype=debug",))):
        with tempfile.TemporaryDirectory(prefix="kf-egress-bin-") as d:
            shutil.copy(build.meson(name, target, setup=setup) / target, d)
            p = subprocess.run([Path(__file__).parent / "run", "quick", "hosts", "routes", *([] if name == "asan" else ["process"])], capture_output=True, text=True,
                               # Nobody may look into a worker's memory, LeakSanitizer neither, which a worker's orderly end would start.
                               env={**os.environ, "KUBEFENCE_BIN": d, "UBSAN_OPTIONS": "halt_on_error=1", "ASAN_OPTIONS": "detect_leaks=0"})
        wrong = [x for x in re.split(r"^(?=ok |not ok |# \w+: )", p.stdout, flags=re.MULTILINE) if x.startswith("not ok")]
        t.ok(p.returncode == 0, f"a build for {name} passes the quick tests", "".join(wrong) + p.stderr[-2000:])


QUICK = (confined, closed, interrupted, layouts, memory, parent, full, flood)
ALL = (cost, again)
