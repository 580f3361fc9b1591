# SPDX-License-Identifier: Apache-2.0
"""Every node that machines/*.toml describes: the right plan, or a refusal whose remedy works.

A description is in our own words what a distribution or an administrator leaves on a node, less
everything that nobody looks at:

    about     what it is
    line      the runtime that it has: containerd's "1.7", "2.1", "2.4", or "crio"
    at        where that program is; plus = {PATH: line} are others
    systemd   false: no systemd runs there
    [unit.NAME]     active, exec (ExecStart), env, cgroup; the stand-in for systemctl tells them
    [[process]]     of /proc: comm, argv, unit or cgroup, nspid
    served, stale   sockets that a process has, which does not answer, and those that one has left behind
    readonly        directories on a read-only file system
    [files]         contents by path; an empty one is a program
    [links]         symlinks by path
    args            more arguments for kubefence
    [expect]        runtime, config (the file that changes), real (behind the guard), restart (the unit)
    [again]         contents of files that the distribution writes anew at each start
    refused         words of the refusal, which says the remedy:
    [remedy]        args, or [remedy.files]: what [expect] then becomes true with

The programs are real, what they make of the result is asked of them; units, processes and
sockets are stand-ins, see live.py and tests/qemu for real ones.
"""
import copy
import os
import random
import shutil
import socket
import subprocess
import tomllib
from pathlib import Path

from lib import seed
from node_root import GUARD, NRI, NodeRoot, place, runtimes, without_ours

MACHINES = Path(__file__).resolve().parent / "machines"
SYSTEMCTL = """#!/bin/sh
echo "$*" >>/systemctl.log
case "$1" in
is-active) [ -e "/units/$2" ] && read -r state <"/units/$2" && [ "$state" = active ] ;;
show)
	shift 3
	for u in /units/*.show; do
		name=${u#/units/}
		for pattern; do
			case "${name%.show}.service" in
			$pattern) cat "$u"; echo; break ;;
			esac
		done
	done ;;
*) exit 64 ;;
esac
"""
# Those whose whole way there and back is shown in "quick" as well: one of each kind.
THOROUGH = {"kind-v3", "eks-al2023", "k3s-server", "k0s-worker", "nri-off-in-root", "flatcar-own-config"}
EXEC = "{{ path={path} ; argv[]={argv} ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }}"


class Machine(NodeRoot):
    """@m set up as a host root."""

    def __init__(self, m: dict, tools):
        super().__init__()
        self.m, self.sockets = m, []
        self.at = m.get("at", "/usr/bin/crio" if m["line"] == "crio" else "/usr/bin/containerd")
        self.config_at = m.get("expect", {}).get("root", "/etc/containerd/config.toml")
        for path, line in {self.at: m["line"], **m.get("plus", {})}.items():
            self.program(tools, line, path)
        for path, target in m.get("links", {}).items():
            self.path(path).parent.mkdir(parents=True, exist_ok=True)
            self.path(path).symlink_to(target)
        self.files(m.get("files", {}))
        for number, p in enumerate(m.get("process", []), 100):
            self.process(number, p)
        self.write("/proc/sys/kernel/cap_last_cap", "40\n")  # crio looks for it
        if m.get("systemd", True):
            self.systemd(m.get("unit", {}))
        for path in m.get("served", []) + m.get("stale", []):
            self.listen(path, path in m.get("served", []))

    def __exit__(self, *_):
        self.hush()
        super().__exit__()

    def hush(self) -> None:
        """From now on nobody has a socket open."""
        for s in self.sockets:
            s.close()
        self.sockets = []

    def program(self, tools, line: str, path: str) -> None:
        if line != "crio":
            place(tools.program("containerd", line), self.path(path))
            return
        program = tools.program("crio")
        shutil.copy2(program, self.path("/").joinpath("crio.real"))
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path("/crio.real").rename(self.path(path))
        for word in subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split():
            if word.startswith("/"):
                place(Path(word).resolve(), self.path(word))

    def files(self, files: dict) -> None:
        for path, text in files.items():
            self.write(path, text, 0o755 if not text else 0o644)

    def process(self, number: int, p: dict) -> None:
        cgroup = p.get("cgroup") or f"/system.slice/{p['unit']}.service"
        self.write(f"/proc/{number}/comm", p["comm"] + "\n")
        self.write(f"/proc/{number}/cmdline", "\0".join(p["argv"].split()) + "\0")
        self.write(f"/proc/{number}/status", f"Name:\t{p['comm']}\nNSpid:\t{p.get('nspid', number)}\n")
        self.write(f"/proc/{number}/cgroup", f"0::{cgroup}\n")

    def systemd(self, units: dict) -> None:
        self.path("/run/systemd/system").mkdir(parents=True)
        place(Path(shutil.which("busybox")), self.path("/bin/sh"))
        place(Path(shutil.which("busybox")), self.path("/bin/cat"))
        self.write("/usr/bin/systemctl", SYSTEMCTL, 0o755)
        self.path("/units").mkdir()
        for name, u in units.items():
            active = u.get("active", True)
            argv = u.get("exec", "")
            self.write(f"/units/{name}", "active\n" if active else "inactive\n")
            self.write(f"/units/{name}.show", "\n".join([
                f"ExecStart={EXEC.format(path=argv.split()[0], argv=argv)}" if argv else "ExecStart=",
                f"Environment={u.get('env', '')}", f"Id={name}.service", f"ActiveState={'active' if active else 'inactive'}",
                f"ControlGroup={u.get('cgroup', f'/system.slice/{name}.service') if active else ''}"]) + "\n")

    def listen(self, path: str, served: bool) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        here = self.path(path).parent  # a long path
        s.bind(f"/proc/self/fd/{self.fd(here)}/{self.path(path).name}")
        if served:
            s.listen()
            self.sockets.append(s)
        else:
            s.close()

    def fd(self, directory: Path) -> int:
        fd = os.open(directory, os.O_PATH)
        self.sockets.append(_Fd(fd))
        return fd

    def run(self, command: str, *args: str):
        prefix = ()
        if self.m.get("readonly"):
            script = "".join(f"mount --bind {self.path(d)} {self.path(d)} && mount -o remount,bind,ro {self.path(d)} && " for d in self.m["readonly"])
            prefix = ("unshare", "-m", "sh", "-c", script + 'exec "$@"', "sh")
        return self.node(command, *args, prefix=prefix)


class _Fd:
    def __init__(self, fd: int):
        self.fd = fd

    def close(self) -> None:
        os.close(self.fd)


def contents(n: Machine) -> dict:
    """What everybody's files hold, ours and the logs of stand-ins left out."""
    out = {}
    for p in n.dir.rglob("*"):
        if p.is_file() and not p.is_symlink() and p.stat().st_size < 1 << 20 and p.name not in ("node.lock", "kata-deploy.lock", "systemctl.log"):
            out[str(p)[len(str(n.dir)):]] = p.read_bytes()
    return out


def planned(t, name: str, n: Machine, expect: dict, args: list[str]) -> bool:
    code, said, err = n.run("plan", *args)
    if not t.ok(code == 0, f"{name}: planned", err):
        return False
    events = {(e["action"], e["object"]): e["detail"] for e in said["events"]}
    t.ok(("runtime", expect["runtime"]) in events, f"{name}: it is {expect['runtime']}", said["events"])
    changed = said.get("diff", "")
    t.ok(expect["config"] in str(said), f"{name}: {expect['config']} changes", changed or said)
    if "real" in expect:
        t.equal(events.get(("handler", "nono-runc")), expect["real"], f"{name}: behind the guard is the runtime that it uses")
    if "restart" in expect:
        t.ok(("restart", expect["restart"]) in events, f"{name}: that unit is restarted", said["events"])
    return True


def there_and_back(t, name: str, n: Machine, expect: dict, args: list[str]) -> None:
    before = contents(n)
    real = n.m["line"] != "crio" and "${" not in (n.read(expect["config"]) or b"").decode() and not expect.get("late")
    clean = n.dump() if real else None
    code, said, err = n.run("install", *args)
    if not t.ok(code == 0, f"{name}: installed, the real program accepts it", err):
        return
    t.ok(GUARD.encode() in (n.read(expect["config"]) or b""), f"{name}: the guard is in {expect['config']}", said)
    for path, text in n.m.get("again", {}).items():
        n.write(path, text)
    if real:
        dump = n.dump()
        h = runtimes(dump).get("nono-runc", {})
        t.ok(h.get("options", {}).get("BinaryName") == GUARD and h["runtime_type"] == "io.containerd.runc.v2" and dump["plugins"][NRI]["disable"] is False
             and NRI not in dump.get("disabled_plugins", []), f"{name}: the real containerd has handler and NRI from it", h)
        d, c = without_ours(dump, {"nono-runc": 1}), without_ours(clean, {"nono-runc": 1})
        for x in (d, c):
            if NRI in clean.get("disabled_plugins", []):  # containerd does not tell the settings of what is off
                x["plugins"].pop(NRI, None)
            x["disabled_plugins"] = [p for p in x.get("disabled_plugins", []) if p != NRI]
        t.equal(d, c, f"{name}: and nothing else is different")
    code, said, err = n.run("install", *args)
    t.ok(code == 0 and said["state"] == "nothing to do", f"{name}: nothing to do the second time", said or err)
    code, said, err = n.run("uninstall")
    if n.m.get("served"):
        kept = [e["detail"] for e in said.get("events", []) if e["action"] == "kept"]
        t.ok(code == 0 and said["state"] != "done" and "does not answer" in str(kept) and n.path(GUARD).exists(),
             f"{name}: while its runtime does not answer nobody knows whether the guard is in use, and it stays", err or said)
        n.hush()
        code, said, err = n.run("uninstall")
    if n.m.get("again"):
        n.files(n.m["again"])
        before.update({p: x.encode() for p, x in n.m["again"].items()})
    after = contents(n)
    t.ok(code == 0 and after == before, f"{name}: undone byte by byte", err or {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)})


def one(t, tools, name: str, m: dict, thorough: bool) -> None:
    args = m.get("args", [])
    with Machine(m, tools) as n:
        clean = contents(n)
        if "refused" in m:
            code, said, err = n.run("plan", *args)
            t.ok(code == 1 and all(w in err for w in m["refused"]), f"{name}: refused, with the reason and the remedy", f"{said} {err}")
            code, said, err = n.run("install", *args)
            t.ok(code == 1 and contents(n) == clean, f"{name}: install too, and nothing is written", {p for p, x in contents(n).items() if clean.get(p) != x})
            if "remedy" not in m:
                return
            n.files(m["remedy"].get("files", {}))
            args = m["remedy"].get("args", args)
            clean = contents(n)
        good = planned(t, name, n, m["expect"], args)
        t.ok(contents(n) == clean, f"{name}: plan writes nothing", {p for p, x in contents(n).items() if clean.get(p) != x})
        if good and thorough:
            there_and_back(t, name, n, m["expect"], args)


LEFT = ("/var/lib/rancher/", "/var/lib/k0s/", "/etc/k0s/", "/var/snap/", "/opt/cri/", "/etc/kube/", "/usr/bin/crio")


def with_leftovers(m: dict, others: list[dict], start: int) -> dict:
    """@m with a random part of what the others are made of, none of it running: files, stopped units, sockets
    that nobody serves, and processes of containers on the machine."""
    dice = random.Random(start)
    m = copy.deepcopy(m)
    own = str(m["expect"]) + str(m.get("args", "")) + str(m.get("unit", ""))
    for o in others:
        for path, text in o.get("files", {}).items():
            # Its own data and options are no leftovers.
            if path.startswith(LEFT) and path not in [m.get("at", "/usr/bin/crio"), *m.get("plus", {}), *m["files"]] and path.split("/")[1:5] != m["expect"]["config"].split("/")[1:5] and dice.random() < 0.5:
                m["files"][path] = text
        for name, u in o.get("unit", {}).items():
            if name not in m.get("unit", {}) and dice.random() < 0.5:
                m["unit"][name] = {**u, "active": False}
        for p in o.get("process", []):
            if dice.random() < 0.5:
                unit = p.get("cgroup") or f"/system.slice/{p['unit']}.service"
                within = ["/system.slice/docker-0a1b.scope", f"/system.slice/{dice.choice(sorted(m['unit']))}.service/nested"]
                m["process"].append({**p, "cgroup": dice.choice(within) + unit.replace("/../..", ""), "nspid": "7000\t12"})
        m.setdefault("stale", [])
        for path in o.get("served", []) + ["/run/crio/crio.sock", "/run/k0s/containerd.sock", "/run/k3s/containerd/containerd.sock"]:
            if path not in m.get("served", []) + m["stale"] and path not in own and dice.random() < 0.5:
                m["stale"].append(path)
    return m


def leftovers(t, tools, machines: dict[str, dict], rounds: int) -> None:
    """What is left behind on a node never changes which runtime it is."""
    able = {n: m for n, m in machines.items() if m.get("systemd", True) and m.get("unit") and m.get("process") and "refused" not in m}
    start = seed.choose()
    print(f"# leftovers: KF_SEED={start}")
    for turn in range(rounds):
        for name, m in able.items() if rounds > 1 else random.Random(start).sample(sorted(able.items()), 6):
            x = with_leftovers(m, [o for n, o in machines.items() if n != name], start + turn)
            with Machine(x, tools) as n:
                planned(t, f"{name} with leftovers ({start + turn})", n, m["expect"], m.get("args", []))


def run(t, tools, everything: bool) -> None:
    files = sorted(MACHINES.glob("*.toml"))
    t.ok(len(files) >= 40, f"at least 40 nodes are described ({len(files)})")
    machines = {f.stem: tomllib.loads(f.read_text()) for f in files}
    for name, m in machines.items():
        t.case(name, one, t, tools, name, m, everything or name in THOROUGH)
    t.case("leftovers", leftovers, t, tools, machines, 5 if everything else 1)
