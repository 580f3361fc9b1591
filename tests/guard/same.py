# SPDX-License-Identifier: Apache-2.0
"""But for the sandbox the guard behaves as the runtime behind it: each case runs with both and compares."""
import array
import json
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

from lib_guard import DEADLINE, ROOT
from parts import main

from lib.cri import wait_pid, wait_until


def both(t, node, what, fn):
    """fn(bare) -> what can be seen from outside; must be equal.  IDs and pids are taken out."""
    want, got = (re.sub(r"kf-guard-\w+-\d+", "ID", repr(fn(bare))) for bare in (True, False))
    t.ok(want == got, what, f"bare:  {want}\nguard: {got}")
    return want


def exit_codes_and_output(t, node):
    for script in ("exit 0", "exit 7", "echo out; echo err >&2; exit 3", "kill -9 $$", "kill -TERM $$", "cat; tty; pwd"):
        def run(bare, script=script):
            r = node.run(node.bundle(["sh", "-c", script]).write(), bare)
            return r.code, r.out, r.err
        both(t, node, f"sh -c '{script}'", run)
    codes = {bare: node.run(node.bundle(["/nonexistent"]).write(), bare).code for bare in (True, False)}
    t.ok(all(codes.values()), "a command that does not exist fails with both", codes)
    both(t, node, "a user without root", lambda bare: node.run(
        node.bundle(["id"], user={"uid": 1000, "gid": 1000, "additionalGids": [7]}).write(), bare).out)
    both(t, node, "no bundle there", lambda bare: node.call("run", "--bundle", "/nonexistent", node.id(), bare=bare).code)
    both(t, node, "the environment, but for NONO_PROFILE and the end of PATH", lambda bare: sorted(
        x.removesuffix(":/nono") if x.startswith("PATH=") else x for x in node.run(node.bundle(["env"]).write(), bare).out.split() if not x.startswith("NONO_PROFILE")))


# What runc's own tests of exec try: options, command, whether the container is paused or stopped.
EXECS = (
    ([], ["true"], ""), ([], ["false"], ""), ([], ["sh", "-c", "exit 42"], ""), ([], ["sh", "-c", "kill -9 $$"], ""), ([], ["sh", "-c", "kill -TERM $$"], ""),
    ([], ["sh", "-c", "echo out; echo err >&2; exit 3"], ""), ([], ["cat", "/nonexistent"], ""), ([], ["pwd"], ""), (["--cwd", "/tmp"], ["pwd"], ""),
    (["--cwd", "/new/dir"], ["pwd"], ""), (["--env=A=b", "--env=A=c"], ["/bin/sh", "-c", "echo $A"], ""), (["--env=A=b c=d"], ["/bin/sh", "-c", "echo $A"], ""),
    (["--user", "1000:1000"], ["id"], ""), (["--user", "1000"], ["sh", "-c", "id -u; id -g"], ""), (["--user", "0:7"], ["id", "-g"], ""), (["--user", "nobody-there"], ["id"], ""),
    (["--no-new-privs"], ["true"], ""), (["--cap", "CAP_SYS_PTRACE"], ["grep", "CapEff", "/proc/self/status"], ""), (["--detach"], ["true"], ""),
    (["--preserve-fds", "0"], ["ls", "/proc/self/fd"], ""), ([], ["true"], "paused"), ([], ["true"], "stopped"),
)


def execs(t, node):
    """By arguments, as people and the kubelet's successors write them; the exit status is what the caller has."""
    for state in ("", "paused", "stopped"):
        ids = {bare: node.start(node.bundle(["sleep", "100000"], image={"/tmp": None}).write(), bare=bare) for bare in (True, False)}
        for bare, cid in ids.items():
            done = {"paused": ("pause", cid), "stopped": ("kill", cid, "KILL")}.get(state)
            if done:
                t.equal(node.call(*done, bare=bare).code, 0, f"{done[0]}: control")
                wait_until(lambda bare=bare, cid=cid: json.loads(node.call("state", cid, bare=bare).out)["status"] == state, DEADLINE)
        for options, args, when in EXECS:
            if when == state:
                both(t, node, f"exec {' '.join([*options, *args])} {state}",
                     lambda bare, o=options, a=args: (lambda r: (r.code, r.out))(node.call("exec", *o, ids[bare], *a, bare=bare)))
        if not state:
            pids = node.dir / "execs-pid"
            for bare, cid in ids.items():
                node.call("exec", "--detach", "--pid-file", pids, cid, "sleep", "100000", bare=bare)
                # The bare runtime does not wait for execve(2).
                wait_until(lambda: Path(f"/proc/{pids.read_text()}/comm").read_text() == "sleep\n", DEADLINE)
                pids.unlink()
        for bare, cid in ids.items():
            if state == "paused":
                node.call("resume", cid, bare=bare)
            node.delete(cid, bare)
    for what, line in (("no command", ["exec", "x"]), ("an unknown option", ["exec", "--no-such-option", "x", "true"]), ("a container that is not there", ["exec", node.id(), "true"])):
        codes = [node.call(*line, bare=bare).code for bare in (True, False)]
        t.ok(all(codes) and codes[1] == 255, f"exec, {what}: fails with both, with the guard as with runc when nothing was started", codes)


def terminal(t, node):
    def attach(bare, command):
        """Run @command with --console-socket; the terminal's output."""
        with tempfile.TemporaryDirectory(dir="/tmp") as d, socket.socket(socket.AF_UNIX) as s:
            s.bind(f"{d}/s")
            s.listen()
            s.settimeout(DEADLINE)
            r = command(bare, f"{d}/s")
            c, _ = s.accept()
            fds = array.array("i")
            _, anc, _, _ = c.recvmsg(4096, socket.CMSG_SPACE(fds.itemsize))
            fds.frombytes(anc[0][2])
            out = b""
            while True:
                try:
                    data = os.read(fds[0], 4096)
                except OSError:
                    break
                if not data:
                    break
                out += data
            os.close(fds[0])
            return r.code, r.err, out

    def create(bare, sock):
        cid = node.id()
        b = node.bundle(["sh", "-c", "tty; echo hello"], terminal=True)
        r = node.call("create", "--bundle", b.write().dir, "--console-socket", sock, cid, bare=bare)
        node.call("start", cid, bare=bare)
        return r

    both(t, node, "a terminal for the container", lambda bare: attach(bare, create))
    ids = {bare: node.start(node.bundle(["sleep", "3600"]).write(), bare=bare) for bare in (True, False)}

    def enter(bare, sock):
        p = node.dir / "process.json"
        p.write_text(json.dumps({"args": ["sh", "-c", "tty; echo hello"], "cwd": "/", "env": ["PATH=/bin"], "terminal": True,
                                 "user": {"uid": 0, "gid": 0}}))
        return node.call("exec", "--process", p, "--console-socket", sock, "--detach", ids[bare], bare=bare)

    both(t, node, "a terminal for exec", lambda bare: attach(bare, enter))


def detaching_and_pid_files(t, node):
    def run(bare):
        pid = node.dir / "pid"
        cid = node.id()
        r = node.call("run", "--detach", "--pid-file", pid, "--bundle", node.bundle(["sleep", "3600"]).write().dir, cid, bare=bare)
        state = json.loads(node.call("state", cid, bare=bare).out)
        # The runtime returns when its own part is done; the program may come a moment later.
        comm = wait_until(lambda: "sleep\n" in Path(f"/proc/{pid.read_text()}/comm").read_text(), "the program to be executed")
        execpid = node.dir / "execpid"
        p = node.dir / "process.json"
        p.write_text(json.dumps({"args": ["sleep", "3600"], "cwd": "/", "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}}))
        e = node.call("exec", "--detach", "--pid-file", execpid, "--process", p, cid, bare=bare)
        there = os.path.exists(f"/proc/{execpid.read_text()}")
        out = (r.code, r.out, r.err, state["pid"] == int(pid.read_text()), state["status"], comm, e.code, there)
        node.delete(cid, bare)
        return out
    both(t, node, "run --detach, exec --detach and their pid files", run)


def descriptors_of_the_caller(t, node):
    def run(bare, n):
        fds = [os.open(node.dir / f"f{i}", os.O_CREAT | os.O_RDWR) for i in range(n)]
        for i, fd in enumerate(fds):
            os.write(fd, f"fd{i}".encode())
            os.lseek(fd, 0, 0)
        high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
        script = "ls /proc/self/fd | wc -l; cat " + " ".join(f"<&{3 + i}" for i in range(n))

        def place():
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
        b = node.bundle(["sh", "-c", script])
        r = node.call("run", f"--preserve-fds={n}", "--bundle", b.write().dir, node.id(), bare=bare,
                      pass_fds=[*high, *range(3, 3 + n)] if n else (), preexec_fn=place)
        for fd in fds + high:
            os.close(fd)
        return r.code, r.out
    for n in (0, 1, 3):
        want = both(t, node, f"--preserve-fds={n}", lambda bare, n=n: run(bare, n))
        if n:
            t.ok(f"fd{n - 1}" in want, "and the command read the caller's file", want)
    for bad in ("010", "0x2", "-1", "x", ""):
        r = node.call("run", f"--preserve-fds={bad}", "--bundle", node.bundle(["true"]).write().dir, node.id())
        t.ok(r.code == 1 and "--preserve-fds" in r.err, f"--preserve-fds={bad!r} is refused", r)
    r = node.run(node.bundle(["true"]).write(), env={**os.environ, "LISTEN_FDS": "1"})
    t.ok(r.code == 1 and "LISTEN_FDS" in r.err, "LISTEN_FDS is refused", r)


def user_namespaces(t, node):
    def run(bare):
        b = node.bundle(["sh", "-c", "cat /proc/self/uid_map; id; echo x >/tmp/x && ls -ln /tmp/x | cut -c1-30; echo x >/work/y && echo w"])
        b.config["linux"]["namespaces"].append({"type": "user"})
        for k in ("uidMappings", "gidMappings"):
            b.config["linux"][k] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        b.dir.chmod(0o755)
        for d, _, files in os.walk(b.rootfs):
            for f in [d, *(os.path.join(d, f) for f in files)]:
                os.lchown(f, 100000, 100000)
        r = node.run(b.write(), bare)
        return r.code, r.out, r.err
    want = both(t, node, "a user namespace", run)
    t.ok("100000" in want and "w\\n" in want, "which there was", want)


def cgroups_and_hooks(t, node):
    def run(bare):
        log = node.dir / "hooks"
        log.unlink(missing_ok=True)
        b = node.bundle(["sleep", "3600"])
        b.config["linux"]["cgroupsPath"] = f"/{node.dir.name}/{'bare' if bare else 'guard'}"
        names = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
        b.config["hooks"] = {n: [{"path": "/bin/sh", "args": ["sh", "-c", f"cat >/dev/null; echo {n} >>{log}"]}] for n in names}
        cid = node.start(b.write(), bare=bare)
        pid = json.loads(node.call("state", cid, bare=bare).out)["pid"]
        lines = Path(f"/proc/{pid}/cgroup").read_text().replace("/bare", "/X").replace("/guard", "/X")
        node.delete(cid, bare)
        for c in Path("/sys/fs/cgroup").glob(f"*/{node.dir.name}"):
            shutil.rmtree(c, ignore_errors=True)
            os.rmdir(c) if c.exists() else None
        return sorted(set(lines.splitlines())), sorted(log.read_text().split())
    both(t, node, "cgroup paths and hooks", run)


def life_cycle(t, node):
    def run(bare):
        cid = node.id()
        b = node.bundle(["sleep", "3600"])
        b.config["linux"]["cgroupsPath"] = f"/{cid}"
        seen = []

        def step(*args, keep=("status",), ends=0):
            r = node.call(*args, bare=bare)
            if ends:
                wait_pid(ends)  # a signal is not an end yet
            try:
                state = json.loads(node.call("state", cid, bare=bare).out)
                seen.append((args[0], r.code, r.out, r.err, [state.get(k) for k in keep]))
            except ValueError:
                seen.append((args[0], r.code, r.out, r.err))
        step("create", "--bundle", b.write().dir, cid, keep=("status", "annotations"))
        step("start", cid)
        step("pause", cid, keep=())  # the freezer takes its time
        step("resume", cid)
        step("update", "--memory", "67108864", cid)
        r = node.call("ps", cid, bare=bare)
        seen.append(("ps", r.code))
        if not node.is_crun:  # which has no such command
            r = node.call("events", "--stats", cid, bare=bare)
            seen.append(("events", r.code, sorted(json.loads(r.out)["data"])))
        if node.name != "crun":  # has it since 1.10
            seen.append(("features", node.call("features", bare=bare)))
        seen.append(("list", cid in node.call("list", "--quiet", bare=bare).out.split()))
        step("kill", cid, "KILL", ends=json.loads(node.call("state", cid, bare=bare).out)["pid"])
        seen.append(("delete", node.delete(cid, bare).code))
        seen.append(("state", node.call("state", cid, bare=bare).code, node.call("kill", cid, "KILL", bare=bare).code))
        seen.append(("unknown", node.call("no-such-command", bare=bare).code, node.call("--version", bare=bare)))
        return seen
    both(t, node, "create, start, pause, resume, update, ps, events, kill, delete", run)
    r = node.call("restore", "--bundle", "/x", node.id())
    t.ok(r.code == 1 and "restore" in r.err, "restore is refused", r)


def versions(t, node):
    version = (ROOT / "VERSION").read_text().strip()
    r = node.call_line(node.guard_path, "--kubefence-version")
    t.ok((r.code, r.out, r.err) == (0, f"nono-runc {version}\n", ""), "--kubefence-version is the guard's", r)
    lines = (["--version"], ["--kubefence-version", "--version"], ["--kubefence-version=1"], ["--root", node.root, "--kubefence-version"],
             ["state", "--kubefence-version"])
    for line in lines:
        guard, bare = (node.call_line(program, *line) for program in (node.guard_path, node.runtime))
        guard.err, bare.err = (re.sub(r"\S*(runc|crun)\b", "PROGRAM", re.sub(r'time="[^"]*"', "", x.err)) for x in (guard, bare))
        t.ok(guard == bare, f"'{' '.join(x for x in line if x != node.root)}' is answered by the runtime", (guard, bare))
    r = node.call_line(node.guard_path, "--kubefence-version", "create", "--bundle", node.bundle(["true"]).write().dir, node.id())
    t.ok(r.code == 1 and "is not understood" in r.err, "in front of a command --kubefence-version is refused like any unknown flag", r)


def errors_are_logged_as_the_runtime_does(t, node):
    b = node.bundle(["true"])
    b.config["annotations"] = {"nono.sh/profile": 'no such "profile"'}
    b.write()
    log = node.dir / "log.json"
    r = node.call("--log", log, "--log-format", "json", "create", "--bundle", b.dir, node.id())
    entry = json.loads(log.read_text().splitlines()[-1])
    t.ok(r.code == 1 and entry["level"] == "error" and 'no such "profile"' in entry["msg"] and entry["time"], "--log in JSON", log.read_text())
    t.ok(entry["msg"] in r.err, "and on stderr", r.err)
    log.unlink()
    node.call(f"--log={log}", "create", "--bundle", b.dir, node.id())
    t.ok(re.match(r'time="[^"]+" level=error msg="nono-runc: ', log.read_text()), "--log in text", log.read_text())


main([exit_codes_and_output, execs, terminal, detaching_and_pid_files, descriptors_of_the_caller, user_namespaces, cgroups_and_hooks,
      life_cycle, versions, errors_are_logged_as_the_runtime_does])
