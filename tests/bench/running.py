# SPDX-License-Identifier: Apache-2.0
"""The workload's running cost: programs and single system calls in containers that differ in their sandbox only.

Everything is measured by turns, a small piece in each container and again, and compared in pairs; the figure is the
median of the pairs' ratios.  What other programs on the machine do is everybody's so.
"""
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import containers
import roots
from lib import figures

ROUNDS = 7
DEPTHS = (1, 3, 9)
BARE, FILTER, ONE, AGENT = "bare", "bare, RuntimeDefault", "one rule", "claude-code, agent"
# For each part: container, what it is compared with, the most that the ratio may be.
LIMITS = {
    "files": (("default", ONE, 1.03), ("default", BARE, 1.05), ("default, restricted", FILTER, 1.05), (AGENT, FILTER, 1.05)),
    "programs": (("default", BARE, 1.05), ("default, restricted", FILTER, 1.05)),
    "servers": (("default", BARE, 1.01), ("default, restricted", FILTER, 1.01)),
}
# Programs that do little but open files, and others.
FILES = {
    "git status": "for i in 1 2 3 4; do git -C /work/tree status --porcelain; done",
    "tar": "tar -C /usr/src -cf - tree | cat",
    "find": "find /usr /work -name nothing",
    "grep": "grep -rl nothing /work/tree || true",
}
PROGRAMS = {
    "npm ci": "cd /work/npm && npm ci --offline --no-audit --no-fund --cache /tmp/npm-$KF",
    "pip install": "PIP_ROOT_USER_ACTION=ignore python3 -m pip install -q --no-index --no-deps --no-compile --target /tmp/pip-$KF /work/many-1.0-py3-none-any.whl && rm -r /tmp/pip-$KF",
    "compile C": "cd /usr/src/c && for f in *.c; do gcc -O1 -c -o /tmp/o-$KF $f; done",
    "Python start": "for i in 1 2 3 4 5; do python3 -c 'import json, asyncio, http.server'; done",
    "100 processes": "for i in $(seq 100); do /bin/true; done",
}


# ---- what is worked on ----


def many_files(top: Path) -> None:
    """8,000 files in 400 directories, two to five deep."""
    for i in range(400):
        folder = top / "/".join(f"d{n}" for n in (i % 20, i // 20, *range(i % 4)))
        folder.mkdir(parents=True)
        for k in range(20):
            (folder / f"f{k}.txt").write_text(f"file {i} {k}\n" * 20)


def tarball(name: str) -> bytes:
    """An npm package of a hundred files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as t:
        for path, text in {"package.json": json.dumps({"name": name, "version": "1.0.0"}), **{f"lib/m{i}.js": f"exports.n = {i}\n" * 20 for i in range(100)}}.items():
            info = tarfile.TarInfo(f"package/{path}")
            info.size = len(text)
            t.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def npm_project(folder: Path) -> None:
    names = [f"kf-{i}" for i in range(6)]
    folder.mkdir()
    for name in names:
        (folder / f"{name}.tgz").write_bytes(tarball(name))
    needs = {name: f"file:{name}.tgz" for name in names}
    (folder / "package.json").write_text(json.dumps({"name": "kf", "version": "1.0.0", "dependencies": needs}))


def wheel(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as z:
        info = "many-1.0.dist-info"
        for i in range(300):
            z.writestr(f"many/m{i}.py", f"n = {i}\n" * 20)
        z.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: many\nVersion: 1.0\n")
        z.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: kf\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        z.writestr(f"{info}/RECORD", "")


def furnish(c: containers.Containers) -> None:
    many_files(c.volume / "tree")
    git = ["git", "-C", c.volume / "tree", "-c", "user.name=n", "-c", "user.email=e", "-c", "gc.auto=0"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    shutil.copytree(c.volume / "tree", c.rootfs / "usr/src/tree", ignore=shutil.ignore_patterns(".git"))
    source = c.rootfs / "usr/src/c"
    source.mkdir()
    for i in range(8):
        (source / f"f{i}.c").write_text("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <sys/socket.h>\n#include <netinet/in.h>\n"
                                        f"int f{i}(char *p) {{ return printf(\"%s %zu\", p, strlen(p)); }}\n")
    npm_project(c.volume / "npm")
    wheel(c.volume / "many-1.0-py3-none-any.whl")
    for top in (c.rootfs / "usr/depth", c.volume / "depth"):
        folder = top
        for _ in range(max(DEPTHS)):
            folder.mkdir()
            (folder / "f").write_text("x")
            folder /= "d"
    pages = c.rootfs / "usr/share/page"
    pages.mkdir()
    (pages / "index.html").write_text("<html>" + "x" * 600 + "</html>")


def all_containers(c: containers.Containers) -> list[containers.Worker]:
    return [c.bare(), c.bare("RuntimeDefault"), c.one_rule(), c.boxed("default"), *(c.boxed("default", level) for level in containers.LEVELS),
            c.boxed("claude-code"), c.boxed("claude-code", "agent")]


def spreads(got: dict[str, list[float]]) -> dict[str, dict[str, list[float]]]:
    """Each container against the bare one, the one with a filter and the one with one rule."""
    out = {}
    for name, values in got.items():
        out[name] = {r: figures.Spread(values, got[r]).json() for r in (BARE, FILTER, ONE) if r in got and r != name}
    return out


def say(what: str, unit: str, got: dict[str, list[float]]) -> None:
    base = sorted(got[BARE])[len(got[BARE]) // 2]
    print(f"# {what}: bare {base:.1f} {unit}; " + ", ".join(f"{n} {figures.Spread(v, got[BARE])}" for n, v in got.items() if n != BARE), flush=True)


# ---- programs ----


def run_programs(table: dict[str, str], rounds: int) -> dict[str, dict]:
    """Processor time of each program and its children, and wall time."""
    out: dict[str, dict] = {}
    with containers.Containers(roots.debian("languages")) as c:
        furnish(c)
        workers = all_containers(c)
        workers[0].run("git config --global safe.directory '*'; cd /work/npm && npm install --package-lock-only --offline --no-audit --no-fund --cache /tmp/npm")
        for what, script in table.items():
            cpu: dict[str, list[float]] = {w.name: [] for w in workers}
            wall: dict[str, list[float]] = {w.name: [] for w in workers}
            for r in range(-1, rounds):
                for w in workers if r % 2 else reversed(workers):
                    took = w.run(f"KF={w.cid}; {script}")
                    if r >= 0:  # the first warms caches
                        wall[w.name].append(took[0])
                        cpu[w.name].append(took[1])
            say(f"{what}, processor time", "ms", cpu)
            out[what] = {"ms": sorted(cpu[BARE])[rounds // 2], "cpu": spreads(cpu), "wall": spreads(wall)}
    return out


def judge(t, part: str, out: dict[str, dict]) -> None:
    for what in out:
        for name, reference, limit in LIMITS[part]:
            got = out[what]["cpu"][name][reference][0]
            t.ok(got <= limit, f"{what} under {name}: {got:.3f} of {reference}, at most {limit}")


def files(t, rounds: int = 3 * ROUNDS) -> None:
    out = run_programs(FILES, rounds)
    figures.keep("files", {"rounds": rounds, "programs": out})
    judge(t, "files", out)


def programs(t, rounds: int = 5) -> None:
    out = run_programs(PROGRAMS, rounds)
    figures.keep("programs", {"rounds": rounds, "programs": out})
    judge(t, "programs", out)


# ---- system calls ----


def call_table() -> list[tuple[str, str, int, str]]:
    """What, call, how many at a time, path."""
    out = [(name, name, 4000, "-") for name in ("getpid", "read", "futex")]
    for depth in DEPTHS:
        inner = "/".join(["d"] * (depth - 2) + ["f"])
        read, write = (f"/usr/depth/{inner}" if depth > 1 else "/usr/f"), "/work/depth/" + inner if depth > 1 else "/work/f"
        out += [(f"stat, depth {depth}", "stat", 1000, read), (f"open to read, depth {depth}", "open", 1000, read),
                (f"open to write, depth {depth}", "write", 1000, write), (f"a refused open, depth {depth}", "denied", 500, read),
                (f"create and remove, depth {depth}", "create", 200, write + "-new"), (f"exec, depth {depth}", "exec", 20, os.path.dirname(read) + "/true")]
    return [*out, ("connect", "connect", 200, "-")]


def calls(t, rounds: int = 5 * ROUNDS) -> None:
    out = {}
    with containers.Containers(roots.debian("languages")) as c:
        furnish(c)
        for top, names in ((c.rootfs / "usr", ("f", "true")), (c.volume, ("f",))):
            for name in names:
                (top / name).write_text("x")
        program = c.dir / "true"
        subprocess.run(["gcc", "-O2", "-static", "-x", "c", "-o", program, "-"], input="int main(void) { return 0; }", text=True, check=True)
        for depth in DEPTHS:
            shutil.copy(program, c.rootfs / "usr" / ("depth/" + "d/" * (depth - 2) if depth > 1 else "") / "true")
        workers = all_containers(c)
        for what, name, n, path in call_table():
            # A file cannot be refused where there is no sandbox: the same without the refusal.
            got: dict[str, list[float]] = {w.name: [] for w in workers}
            for r in range(rounds if name not in ("exec", "connect") else rounds // 2):
                for w in workers if r % 2 else reversed(workers):
                    got[w.name].append(w.ask("call", name, n, path)[0])
            say(what, "ns", got)
            out[what] = {"ns": sorted(got[BARE])[len(got[BARE]) // 2], "cpu": spreads(got)}
    figures.keep("calls", {"rounds": rounds, "calls": out})
    t.ok(True, "measured")


# ---- servers ----

NGINX = """daemon off; master_process off; pid /tmp/nginx-{port}.pid; error_log /dev/null;
events {{ worker_connections 256; }}
http {{ {more} access_log off; keepalive_requests 100000000; client_body_temp_path /tmp/b-{port}; proxy_temp_path /tmp/p-{port}; fastcgi_temp_path /tmp/f-{port};
uwsgi_temp_path /tmp/u-{port}; scgi_temp_path /tmp/s-{port}; server {{ listen 127.0.0.1:{port}; root /usr/share/page; }} }}
"""
CACHE = "open_file_cache max=100; open_file_cache_valid 1h;"
# Server: how many requests at a time, and what nginx is told besides: it opens the file for each request if it keeps none open.
SERVERS = {"redis": (8_000, ""), "nginx, which opens a file for each": (6_000, ""), "nginx, which keeps it open": (6_000, CACHE)}


def servers(t, rounds: int = 2 * ROUNDS) -> None:
    """Time of a request, from a client without a sandbox: 1/0.99 of it is 0.99 of the requests."""
    out: dict[str, dict] = {}
    with containers.Containers(roots.debian("languages")) as c:
        furnish(c)
        client = c.bare()
        workers = all_containers(c)
        for number, (server, (requests, more)) in enumerate(SERVERS.items()):
            ports = {w.name: 21000 + 100 * number + i for i, w in enumerate(workers)}
            pids = {}
            for w in workers:
                port = ports[w.name]
                (c.volume / f"nginx-{port}.conf").write_text(NGINX.format(port=port, more=more))
                pids[w.name] = w.ask("start", *(["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"] if server == "redis" else
                                                ["nginx", "-c", f"/work/nginx-{port}.conf"]))[0]
                client.run(f"for i in $(seq 600); do (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && exit 0; sleep 0.1; done; exit 1".join(("bash -c '", "'")))
            got: dict[str, list[float]] = {w.name: [] for w in workers}
            for r in range(-1, rounds):
                for w in workers if r % 2 else reversed(workers):
                    if server == "redis":
                        took = client.run(f"redis-benchmark -p {ports[w.name]} -t get,set -n {requests // 2} -c 16 -q")[0] * 1e6 / requests
                    else:
                        took = client.ask("http", requests, ports[w.name])[0]
                    if r >= 0:
                        got[w.name].append(took)
            for w in workers:
                w.ask("end", int(pids[w.name]))
            say(f"{server}, a request", "ns", got)
            out[server] = {"ns": sorted(got[BARE])[rounds // 2], "cpu": spreads(got)}
    figures.keep("servers", {"rounds": rounds, "servers": out})
    judge(t, "servers", out)
