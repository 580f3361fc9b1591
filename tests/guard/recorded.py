# SPDX-License-Identifier: Apache-2.0
"""A seccomp profile as a recorder writes it: what strace saw nginx call, and nothing else."""
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lib_guard import BIN, DEADLINE
from parts import main

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../workloads"))
from roots import Overlay, debian  # noqa: E402

URL = "http://127.0.0.1:8080/"
CONF = """pid /tmp/nginx.pid; worker_processes 1; daemon off; error_log stderr info;
events { }
http { access_log off; client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi; server { listen 127.0.0.1:8080; root /srv; } }
"""
COMMAND = ["/usr/sbin/nginx", "-e", "stderr", "-c", "/srv/nginx.conf"]


def until(what, fn):
    end = time.monotonic() + DEADLINE
    while not (got := fn()):
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)
    return got


def inside(pid: int, *command: str) -> subprocess.CompletedProcess:
    """In the network of a process."""
    return subprocess.run(["nsenter", "-t", str(pid), "-n", "busybox", *command], capture_output=True, text=True, timeout=DEADLINE, check=False)


def workers(pid: int) -> set[str]:
    try:
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    except FileNotFoundError:
        return set()


def use(pid: int) -> str:
    """A request, a reload and a request of the nginx whose master is @pid; what it served, "" if it ended."""
    inside(pid, "ifconfig", "lo", "up")

    def get():
        if not os.path.exists(f"/proc/{pid}/exe"):
            return "gone"
        return inside(pid, "wget", "-q", "-O-", URL).stdout
    first = until("answer", get)
    if first != "served\n":
        return ""
    old = workers(pid)
    os.kill(pid, 1)
    until("reload", lambda: workers(pid) and not workers(pid) & old)
    return first + until("answer after the reload", get)


def image(node) -> Overlay:
    where = node.dir / f"nginx-{node.id()}"
    where.mkdir()
    root = Overlay(debian("languages"), str(where))
    (Path(root.path) / "srv").mkdir(exist_ok=True)
    (Path(root.path) / "srv/index.html").write_text("served\n")
    (Path(root.path) / "srv/nginx.conf").write_text(CONF)
    return root


def record(node) -> list[str]:
    """The names of the calls that nginx makes from its execve on: start, requests, reload, stop."""
    root, log = image(node), node.dir / "strace"
    try:
        p = subprocess.Popen(["unshare", "-n", "strace", "-f", "-qq", "-o", str(log), "chroot", root.path, *COMMAND], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            pid = int(until("nginx", lambda: log.exists() and re.search(r'^(\d+) +execve\("/usr/sbin/nginx"', log.read_text(), re.MULTILINE))[1])
            if use(pid) != "served\n" * 2:
                raise RuntimeError("nginx does not serve under strace")
            os.kill(pid, 3)
            p.wait(DEADLINE)
        finally:
            p.kill()
            p.wait()
    finally:
        root.close()
    text = log.read_text()
    return sorted(set(re.findall(r"^\d+ +(\w+)\(", text[text.index('execve("/usr/sbin/nginx"') - 12:], re.MULTILINE)))


def serve(node, names: list[str], bare: bool = False, args=COMMAND, others="SCMP_ACT_ERRNO") -> tuple[str, str]:
    """What an nginx under this profile serves, and how its master is confined."""
    root = image(node)
    b = node.bundle(list(args), cwd="/", env=["PATH=/usr/sbin:/usr/bin", "HOME=/root"])
    shutil.rmtree(b.rootfs)
    b.config["root"]["path"] = root.path
    b.config["linux"]["seccomp"] = {"defaultAction": others, "architectures": ["SCMP_ARCH_X86_64"],
                                    "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]}
    b.config["process"]["noNewPrivileges"] = True
    if bare:
        b.config["mounts"].append({"destination": "/nono", "type": "bind", "source": str(BIN), "options": ["rbind", "ro"]})
    cid = node.id()
    try:
        r = node.call("create", "--bundle", b.write().dir, cid, bare=bare)
        if r.code:
            return "", r.err
        pid = json.loads(node.call("state", cid, bare=bare).out)["pid"]
        if node.call("start", cid, bare=bare).code:
            return "", "not started"
        got = use(pid)
        status = Path(f"/proc/{pid}/status").read_text() if got else ""
        return got, " ".join(re.findall(r"^(?:NoNewPrivs|Seccomp|Seccomp_filters):\s+(\d)", status, re.MULTILINE))
    finally:
        node.delete(cid, bare)
        root.close()


def nginx(t, node):
    names = record(node)
    calls = re.findall(r"landlock_\w+", " ".join(names))
    t.ok(len(names) > 30 and not calls, f"recorded: {len(names)} system calls, none of Landlock's", names)
    for level in ("", "restricted"):
        node.settings(seccomp=level)
        got, status = serve(node, names)
        t.equal(got, "served\n" * 2, f"level '{level}': nginx under its recorded profile serves, before and after a reload")
        t.equal(status, "1 2 1", f"level '{level}': no new privileges, and one seccomp program")
    got = serve(node, [n for n in names if n not in ("accept", "accept4", "epoll_wait", "listen")])
    t.equal(got, ("", ""), "control: without the calls of a server it does not serve, so the profile is in force")
    wrapped = ["/nono/nono", "wrap", "--profile", "default", "--", *COMMAND]
    got, why = serve(node, names, True, wrapped)
    t.equal(got, "", "control: with the launcher under the profile, without the guard, it does not")
    print(f"# {node.name}: {why or 'the launcher ended'}")
    got, _ = serve(node, names, True, wrapped, "SCMP_ACT_ALLOW")
    t.equal(got, "served\n" * 2, "control: and does if all other calls are allowed")


if __name__ == "__main__":
    main((nginx,))
