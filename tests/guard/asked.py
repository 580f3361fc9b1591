# SPDX-License-Identifier: Apache-2.0
"""/nono in a container of the guard's: `nono why` is there under every profile, read-only, whatever the image and the volumes are, and answers about the policy in force
as the kernel does; a container whose image leaves no place for it starts all the same."""
import json
import os
import random
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from given import HERE, program
from hostile import EVIL, bind
from lib_guard import BIN, DEADLINE, ROOT
from parts import main

from lib import seed

WHY = ["/nono/nono", "why", "--json"]
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def ask(node, cid: str, path: str, op: str, **process) -> dict:
    r = node.exec(cid, *WHY, "--path", path, "--op", op, **process)
    try:
        return json.loads(r.out) | {"code": r.code}
    except ValueError:
        return {"error": r.out + r.err, "code": r.code}


def profiles(node) -> list[str]:
    """The built-in profiles, as the plugin publishes them."""
    names = sorted(p.stem for p in (ROOT / "profiles").glob("*.json") if p.stem != "groups")
    (node.dir / "launcher/profiles").mkdir(exist_ok=True)
    for name in names:
        p = subprocess.run([BIN / "kubefence", "profile", "compile", name], capture_output=True, text=True, check=False)
        if p.returncode == 0:
            (node.dir / "launcher/profiles" / name).write_text(p.stdout)
    return [n for n in names if (node.dir / "launcher/profiles" / n).exists()]


def container(node, profile: str = "default", args=("sleep", "100000"), image=None, **process):
    b = node.bundle(list(args), image, **process)
    b.config.setdefault("annotations", {})["nono.sh/profile"] = profile
    return b


def every_profile(t, node):
    names = profiles(node)
    for name in names:
        cid = node.start(container(node, name).write())
        said = ask(node, cid, "/etc/shadow", "write")
        t.equal((said.get("profile"), said.get("allowed"), said["code"]), (name, False, 1), f"{name}: why knows the profile, and answers")
        node.delete(cid)
    t.ok(len(names) > 10, "the profiles are there", names)


def in_force(t, node):
    """Built-ins only, and then a profile that is changed meanwhile; the asker stands elsewhere, and lies to himself."""
    cid = node.start(container(node, "strict").write())
    t.equal(ask(node, cid, "/etc/passwd", "read", env=["PATH=/bin", "NONO_PROFILE=default"])["profile"], "strict", "no profiles on the node: the built-in in force")
    node.delete(cid)
    node.profile("own", "fs rx-root", "fs r /proc", "fs rwx $WORKDIR", "fs w $TMPDIR", "fs rx /nono")
    cid = node.start(container(node, "own", image={"/var/own": None, "/var/other": None}, env=["PATH=/bin", "HOME=/home/user", "TMPDIR=/var/own"]).write())
    node.profile("own", "fs rx-root", "fs rwx /var")
    for path, op, cwd, want in (("/work/x", "write", "/etc", True), ("/etc/x", "write", "/etc", False), ("x", "write", "/work", True), ("/var/own/x", "write", "/", True),
                                ("/var/other/x", "write", "/var/other", False), ("/var/x", "write", "/", False)):
        said = ask(node, cid, path, op, cwd=cwd, env=["PATH=/bin", "HOME=/etc", "TMPDIR=/var/other"])
        t.equal(said.get("allowed"), want, f"profile changed since: {op} {path} from {cwd}: as the first process was granted")
        kernel = node.exec(cid, "sh", "-c", f"echo x >{path}", cwd=cwd).code == 0
        t.equal(kernel, want, f"... and the kernel says so: {path}")
    node.delete(cid)


def what_is_not_there(t, node):
    """The service account's volume was taken away."""
    b = container(node)
    cid = node.start(b.write())
    t.equal(node.exec(cid, "cat", TOKEN).code, 1, "the token cannot be read")
    said = ask(node, cid, TOKEN, "read")
    t.ok(said.get("allowed") is False and "fs deny" in said.get("reason", ""), "why says that it is denied", said)
    said = ask(node, cid, "/etc/x", "write")
    t.ok("/work" in said.get("instead", ()) and "nono.sh/profile" in said.get("ask", ""), "why says what to do instead, and whom to ask", said)
    r = node.exec(cid, "sh", "-c", " ".join(f"echo x >{d}/kf-way && rm {d}/kf-way || echo {d};" for d in said.get("instead", ())))
    t.equal((r.out, r.err), ("", ""), "every way that it names works")
    r = node.exec(cid, "sh", "-c", "echo x >/nono/policy; echo x >/nono/nono; rm /nono/start; mv /nono /x; cat /nono/policy | head -2 | tail -1")
    t.equal(r.out, "name default\n", "/nono is read, and not changed")
    r = node.exec(cid, "nono", "why", "--path", "/etc/passwd", "--op", "read")
    t.ok(r.out.startswith("allowed: read /etc/passwd"), "who enters can ask: kubectl exec POD -- nono why", r.out + r.err)
    r = node.exec(cid, "sh", "-c", "echo $PATH; nono why --path /etc/passwd --op read")
    t.ok(r.out.startswith("/bin:/nono\nallowed: read /etc/passwd"), "nono is in PATH, last", r.out + r.err)
    r = node.exec(cid, "sh", "-c", "echo $PATH", env=["PATH=/nono:/bin"])
    t.equal(r.out, "/nono:/bin\n", "a PATH that has it stays")
    node.delete(cid)


def questions(r: random.Random, n: int) -> list[tuple[str, str]]:
    """Of the image, the kubelet's mounts, volumes and what is not there."""
    places = ["/bin", "/etc", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/passwd", "/dev/termination-log", "/dev/shm", "/tmp", "/work", "/work/.git", "/root", "/run",
              "/home/user", "/home/user/.ssh", "/home/user/.config", "/root/.aws", "/var/lib", "/var/run/secrets", str(Path(TOKEN).parent), TOKEN, "/data", "/data/.ssh", "/settings",
              "/usr/local", "/opt", "/srv", "/nono", "/sys", "/home"]
    names = ["", "/", "/f", "/f0", "/a/b", "/.netrc", "/id_rsa", "/known_hosts", "/hooks", "/config", "/policy", "/nono", "/credentials", "/token"]
    files = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/passwd", "/dev/termination-log", TOKEN)
    asked = {(r.choice("rwxn"), p + r.choice(names if p not in files else [""])) for p in (r.choice(places) for _ in range(20 * n))}
    # Executing that one would end the asking.
    asked.discard(("x", "/nono/nono"))
    return r.sample(sorted(asked), min(n, len(asked)))


def feed(node, cid: str, text: str, *args: str, bare: bool = False) -> str:
    """What a process that enters says about @text."""
    p = node.dir / "feed.json"
    p.write_text(json.dumps({"args": args, "cwd": "/work", "env": ["PATH=/bin", "HOME=/home/user"], "user": {"uid": 0, "gid": 0}}))
    with tempfile.TemporaryFile() as f:
        f.write(text.encode())
        f.seek(0)
        r = node.call("exec", "--process", p, cid, bare=bare, stdin=f, timeout=3600)  # a thousand programs, beside a busy machine
    return r.out.strip() if r.code == 0 else f"{r}"


def agree(t, node):
    """The kernel, why in the container and explain from outside are asked the same."""
    full = sys.argv[1:] == ["all"] or sys.argv[2:]
    start = seed.choose()
    r = random.Random(start)
    names = profiles(node)
    probe = node.dir / "probe"
    subprocess.run(["gcc", "-O1", "-static", "-o", probe, ROOT / "tests/profiles/probe.c"], check=True)
    image = {f"{d}/{f}": b"" for d in ("/etc", "/home/user", "/home/user/.ssh", "/home/user/.config", "/root", "/root/.aws", "/var/lib", "/usr/local", "/opt", "/srv", "/work", "/work/.git", "/tmp")
             for f in ("f0", "a/b", "id_rsa", "config", "credentials", ".netrc")} | {"/bin/probe": probe.read_bytes(), "/data": None, "/settings": None}
    volume = node.dir / "agree"
    for d in ("", ".ssh", "a"):
        (volume / d).mkdir(exist_ok=True)
        for f in ("f", "f0", "b", "id_rsa"):
            (volume / d / f).write_bytes(b"")
            (volume / d / f).chmod(0o777)
    count, yes, wrong = 0, 0, []
    for name in names if full else r.sample(names, 2):
        b = container(node, name, image=image)
        b.config["mounts"] += [bind(volume, "/data"), bind(volume, "/settings", options=["rbind", "ro"])]
        b.write()
        cid = node.start(b)
        asked = questions(r, 1200 if full else 150)
        text = "".join(f"{op} {path}\n" for op, path in asked)
        bare = feed(node, cid, text, "probe", bare=True)
        kernel = feed(node, cid, text, "probe")
        loop = "while read o p; do case $o in r) o=read;; w|n) o=write;; x) o=exec;; esac; /nono/nono why --op $o --path $p >/dev/null; echo -n $?; done"
        said = feed(node, cid, text, "sh", "-c", loop)
        mounts = [x for m in b.original["mounts"] if not m["destination"].startswith(("/proc", "/sys", "/nono")) and m["destination"] not in ("/dev", "/dev/pts", "/dev/mqueue")
                  for x in ("--mount", m["destination"] + (":ro" if "ro" in m.get("options", ()) else ""))]
        p = subprocess.run([BIN / "kubefence", "explain", name, "-o", "json", "--rootfs", b.rootfs, "--uid", "0", "--home", "/home/user", "--workdir", "/work", *mounts,
                            *(x for path in dict.fromkeys(p for _, p in asked) for x in ("--path", path))], capture_output=True, text=True, check=False)
        explained = {(a["op"], a["path"]): a for a in json.loads(p.stdout)["answers"]}
        node.delete(cid)
        if {len(asked)} != {len(bare), len(kernel), len(said)}:
            wrong.append(f"{name}: {bare[-200:]} {kernel[-200:]} {said[-200:]}")
            continue
        for (op, path), outside, k, w in zip(asked, bare, kernel, said):
            e = explained[{"r": "read", "x": "exec"}.get(op, "write"), path]
            # The guard's mask of a directory is an empty one, which can be listed.
            if op == "r" and e.get("rule", "").startswith("fs deny") and (b.rootfs / path.lstrip("/")).is_dir():
                continue
            # What is not there, or what its mode or mount refuses, is refused outside, too: but for that why and explain are to agree.
            answers = {w == "0", e["allowed"], *([k == "1"] if outside == "1" else [])}
            count += 1
            yes += k == "1"
            if len(answers) > 1:
                wrong.append(f"{name}: {op} {path}: bare {outside}, kernel {k}, why {'allowed' if w == '0' else 'denied'}, explain {e}")
    t.equal([len(wrong), *wrong[:8]], [0], f"{count} questions, {yes} of them allowed, seed {start}: why and explain agree with the kernel")
    t.ok(0.05 * count < yes, "the questions are of use", f"{yes} of {count}")


# What why and explain once answered differently, or otherwise than the kernel: rules, image, process, and questions of which the kernel is asked, too.
DISAGREED = (
    ("what is made beside a denial that something is excepted from", ["fs rwx /work", "fs deny /work/.keys", "fs r /work/.keys/known"],
     {"/work/f": b"", "/work/.keys/known": b"", "/work/.keys/id": b""}, {}, ["w /work/f", "n /work/new", "r /work/.keys/known", "w /work/.keys/known", "r /work/.keys/id", "r /work/.keys"]),
    ("exceptions from a denial and from one below it", ["fs rx /work", "fs deny /work/a/k", "fs deny /work/a", "fs r /work/a", "fs w /work/a/k"],
     {"/work/a/k": b"", "/work/a/f": b""}, {}, ["r /work/a/f", "r /work/a/k", "w /work/a/k"]),
    ("the same, the other way round", ["fs rx /work", "fs deny /work/a", "fs deny /work/a/k", "fs w /work/a/k", "fs r /work/a"],
     {"/work/a/k": b"", "/work/a/f": b""}, {}, ["r /work/a/f", "r /work/a/k", "w /work/a/k"]),
    ("a work directory of the system's", ["fs rwx $WORKDIR"], {"/opt/app/f": b""}, {"cwd": "/opt/app"}, ["r /opt/app/f", "w /opt/app/f", "n /opt/app/new"]),
    ("a home of the system's", ["fs rwx-homes"], {"/usr/share/app/f": b""}, {"env": ["PATH=/bin", "HOME=/usr/share/app"]}, ["r /usr/share/app/f", "w /usr/share/app/f"]),
    ("a symlink of the image's into the system", ["fs rw /srv/up"], {"/srv/up": Path("/opt"), "/opt/f": b""}, {}, ["r /srv/up/f", "w /srv/up/f", "w /opt/f"]),
    ("a directory that is listed within one that is denied", ["fs rx-root", "fs deny /srv", "fs r /srv/a/f"], {"/srv/a/f": b"", "/srv/b": b""}, {},
     ["r /srv/a/f", "r /srv/b", "r /srv", "r /srv/a"]),
    ("XDG directories without a home", ["fs rw $XDG_CONFIG_HOME"], {"/home/user/.config/f": b""}, {"env": ["PATH=/bin", "HOME="]}, ["w /home/user/.config/f"]),
    ("/proc in an image that has none", ["fs processes"], {}, {}, ["w /proc/self/comm", "w /proc/sys/kernel/hostname"]),
)


def explain(profile, rootfs, path: str, op: str, *options: str) -> dict:
    p = subprocess.run([BIN / "kubefence", "explain", profile, "-o", "json", *(("--rootfs", rootfs) if rootfs else ()), "--path", path, "--op", op, *options],
                       capture_output=True, text=True, check=False)
    try:
        return json.loads(p.stdout)["answers"][0]
    except ValueError:
        return {"allowed": None, "error": p.stdout + p.stderr}


def disagreed(t, node):
    """Each is asked of the kernel, of why and of explain."""
    probe = node.dir / "probe"
    subprocess.run(["gcc", "-O1", "-static", "-o", probe, ROOT / "tests/profiles/probe.c"], check=True)
    for what, rules, image, process, asked in DISAGREED:
        profile = node.profile("own", "fs rx /bin", "fs r /proc", "fs rx /nono", *rules)
        b = container(node, "own", image={"/bin/probe": probe.read_bytes(), **image}, **process)
        b.write()
        cid = node.start(b)
        env = b.original["process"]["env"]
        home = [x for v in env if v.startswith("HOME=/") for x in ("--home", v[5:])] or ["--home", ""]
        said = feed(node, cid, "".join(f"{q}\n" for q in asked), "probe")
        for q, kernel in zip(asked, said if len(said) == len(asked) else "?" * len(asked)):
            op = {"r": "read", "x": "exec"}.get(q[0], "write")
            answers = {"kernel": kernel == "1" if kernel in "01" else said, "why": ask(node, cid, q[2:], op).get("allowed"),
                       "explain": explain(profile, b.rootfs, q[2:], op, "--workdir", b.original["process"]["cwd"], *home).get("allowed")}
            # The guard's mask of a directory is an empty one, which can be listed.
            if (b.rootfs / q[2:].lstrip("/")).is_dir():
                del answers["kernel"]
            t.ok(len(set(answers.values())) == 1, f"{what}: {op} {q[2:]}: one answer", answers)
        node.delete(cid)


def sockets_explained(t, node):
    """By the kernel's ABI: what nothing stops, what a grant lets pass, what a mask hides."""
    profile = node.profile("own", "fs rx /bin", "fs volumes", "fs deny /run/docker.sock", "fs deny ~/.ssh", "fs r ~/.ssh/known_hosts")
    root = node.bundle([], image={"/srv": None, "/home/user/.ssh": None}).rootfs
    for path in ("/srv/s", "/home/user/.ssh/agent"):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(f"{root}{path}")
    volume = ("--mount", "/data:ro", "--home", "/home/user")
    for path, op, old, new in (("/srv/s", "write", True, False), ("/srv/s", "connect", True, False), ("/srv/s", "read", False, False), ("/srv/none", "connect", True, False),
                               ("/srv/none", "write", False, False), ("/run/docker.sock", "connect", False, False), ("/data/s", "connect", True, True), ("/data/s", "write", False, False),
                               ("/home/user/.ssh/agent", "connect", True, False)):
        for abi, want in ((1, old), (8, old), (9, new), (11, new)):
            said = explain(profile, root, path, op, "--abi", str(abi), *volume)
            t.equal(said["allowed"], want, f"explain, ABI {abi}: {op} {path}")
            t.equal("not stopped on this kernel" in said["why"], want and not new, "... with the reason")
    said = explain(profile, None, "/run/x.sock", "connect", "--abi", "8")
    t.ok(said["allowed"] and "Landlock ABI 8" in said["why"], "without an image, too", said)
    for bad in (["--abi", "x"], ["--abi", "99999999999999999999"], ["--op", "knock"]):
        p = subprocess.run([BIN / "kubefence", "explain", profile, "--path", "/x", *bad], capture_output=True, text=True, check=False)
        t.equal(p.returncode, 2, f"usage: {bad}")


def sockets(t, node):
    """Connecting to a unix socket is the kernel's to stop, which older ones do not: what why says is what happens."""
    where = node.dir / "sockets"
    where.mkdir()
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(where / "s"))
        s.listen()
        (where / "s").chmod(0o777)
        b = container(node, "closed", image={"/bin/fuse": program(HERE / "fuse.c")})
        node.profile("closed", "fs rx /bin", "fs r /proc", "fs rx /nono")
        b.config["mounts"].append(bind(where, "/v"))
        cid = node.start(b.write())
        # A client that connects and asks for a descriptor, which nobody sends.
        s.settimeout(DEADLINE)
        child = subprocess.Popen(node.command("exec", "--cwd", "/", cid, "fuse", "mount", "/v/s", "/m"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        readable = select.select([s, os.pidfd_open(child.pid)], [], [], DEADLINE)[0]
        connected = s in readable
        if connected:
            s.accept()[0].close()
        child.wait()
        said = ask(node, cid, "/v/s", "write")
        t.equal(ask(node, cid, "/v/s", "connect").get("allowed"), connected, "connecting, asked for by its name")
        t.equal(explain(node.dir / "launcher/profiles/closed", f"/proc/{json.loads(node.call('state', cid).out)['pid']}/root", "/v/s", "write")["allowed"], connected, "explain says the same")
    t.equal(said.get("allowed"), connected, f"a socket where nothing is granted: {'connected' if connected else 'refused'}, and why says so")
    t.equal("connecting is not stopped on this kernel" in said.get("note", ""), connected, "... with the reason")
    node.delete(cid)


def worktree(t, node):
    """A linked git worktree whose repository lies beside it in the same volume: nothing of the repository is granted, why says what to set, and that does it."""
    repos = node.dir / "repos"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["sh", "-ec", "mkdir main; cd main; $GIT init -q; echo x >f; $GIT add f; $GIT commit -qm m; $GIT worktree add -q ../feature -b feature; $GIT worktree add -q wt/below -b below"],
                   check=True, cwd=repos.mkdir() or repos, env={**os.environ, "GIT": " ".join(git)})
    subprocess.run(["sed", "-i", f"s|{repos}|/repos|", repos / "feature/.git", repos / "main/wt/below/.git", *(repos / "main/.git/worktrees").glob("*/gitdir")], check=True)
    script = ("cd $0; export GIT_CONFIG_COUNT=3 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=a GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=a@b GIT_CONFIG_KEY_2=safe.directory GIT_CONFIG_VALUE_2='*'; "
              "echo y >>new && git add new && git commit -qm n && git log --oneline | wc -l; echo x >/repos/main/.git/hooks/pre-commit; echo x >>/repos/main/.git/config; git config core.fsmonitor x; "
              "mv /repos/main/.git/hooks /repos/main/.git/h2; mkdir /repos/main/.git/hooks2 && echo made")
    profiles(node)

    def box(profile: str, workdir: str, args=("sleep", "100000")):
        b = container(node, profile, args, image={"/lib": Path("usr/lib"), "/lib64": Path("usr/lib64"), "/usr": None}, cwd=workdir, env=["PATH=/usr/bin:/bin", "HOME=/home/user"])
        b.config["mounts"] += [bind(repos, "/repos"), bind("/usr", "/usr", options=["rbind", "ro"])]
        return b.write()

    for base in ("claude-code", "codex", "workspace"):
        cid = node.start(box(base, "/repos/feature"))
        r = node.exec(cid, "git", "status", cwd="/repos/feature", env=["PATH=/usr/bin:/bin", "HOME=/home/user"])
        t.ok(r.code == 128 and "/repos/main/.git/worktrees/feature" in r.err, f"{base}: git names what it cannot reach", r)
        said = ask(node, cid, "/repos/main/.git/worktrees/feature", "read", env=["PATH=/bin", "HOME=/home/user"])
        added = re.search(r'"filesystem": ({.*?})', said.get("ask", ""))
        t.ok(not said["allowed"] and added and json.loads(added[1])["allow"] == ["/repos/main/.git"], f"{base}: why says what to set", said)
        t.ok("linked worktree" not in ask(node, cid, "/repos/main/f", "read").get("ask", ""), f"{base}: ... and only of the repository's own directory")
        node.delete(cid)
        own = node.dir / f"own-{base}.json"
        own.write_text(json.dumps({"extends": base, "meta": {"name": f"own-{base}"}, "filesystem": json.loads(added[1])}))
        p = subprocess.run([BIN / "kubefence", "profile", "compile", own], capture_output=True, text=True, check=False)
        t.ok(p.returncode == 0, f"{base}: a profile that says so compiles", p.stderr)
        (node.dir / f"launcher/profiles/own-{base}").write_text(p.stdout)
        for what, profile, where, workdir in (("that profile", f"own-{base}", "/repos/feature", "/repos/feature"), ("a worktree below the repository", base, "/repos/main/wt/below", "/repos/main")):
            counted = [*git, "-c", "safe.directory=*", "--git-dir", repos / "main/.git", "rev-list", "--count", Path(where).name]
            n = int(subprocess.run(counted, capture_output=True, text=True, check=True).stdout)
            r = node.run(box(profile, workdir, ("sh", "-c", script, where)))
            t.ok(r.out.split()[:1] == [str(n + 1)], f"{base}, {what}: git works in the worktree", r)
            if profile == "workspace":
                continue  # which leaves hooks to whoever works in the repository
            t.ok("made" in r.out and r.err.count("Read-only") + r.err.count("busy") + r.err.count("denied") >= 3 and not (repos / "main/.git/hooks/pre-commit").exists()
                 and "fsmonitor" not in (repos / "main/.git/config").read_text(), f"{base}, {what}: hooks and configuration are read-only", r)
            shutil.rmtree(repos / "main/.git/hooks2")


def images(t, node):
    """Whatever an image has at /nono, and whatever a volume is led to there."""
    evil = node.dir / "evil"
    evil.mkdir()
    for f in ("nono", "policy", "start"):
        (evil / f).write_bytes(EVIL)
        (evil / f).chmod(0o755)
    ask_there = ["sh", "-c", "/nono/nono why --path /etc/x --op write; ls /etc/passwd; ls /tmp"]
    for what, image, shown in (("a directory", {"/nono/nono": EVIL, "/nono/policy": EVIL}, True), ("a symlink to /etc", {"/nono": Path("/etc")}, False),
                               ("a symlink to nothing", {"/nono": Path("/tmp/a/b")}, False), ("a file", {"/nono": EVIL}, False)):
        r = node.run(container(node, args=ask_there, image=image).write())
        t.equal(("denied: write /etc/x" in r.out, "EVIL" in r.out and what == "a directory"), (shown, False), f"image with {what}: {'shown' if shown else 'not shown'}")
        t.ok("/etc/passwd" in r.out and "\na\n" not in r.out, f"... and nothing is mounted elsewhere: {what}", r.out + r.err)
    b = container(node, args=ask_there, image={"/x": Path("/nono"), "/nono": None})
    b.config["mounts"].append(bind(evil, "/x"))
    r = node.run(b.write())
    t.ok("denied: write /etc/x" in r.out and "EVIL" not in r.out, "a volume at a symlink to /nono does not cover it", r.out + r.err)


def roots(t, node):
    """A read-only root, one that cannot be written at all, and a bundle that is created again."""
    b = container(node, args=["sh", "-c", "nono why --path /etc/x --op write"])
    b.config["root"]["readonly"] = True
    r = node.run(b.write())
    t.ok(r.out.startswith("denied: write /etc/x"), "a read-only root file system without /nono", r.out + r.err)
    r = node.run(b)
    t.ok(r.out.startswith("denied: write /etc/x"), "the same bundle, created again", r.out + r.err)
    b = container(node, args=["sh", "-c", "ls /nono/nono; echo started"])
    b.config["root"]["readonly"] = True
    b.write()
    subprocess.run(["mount", "--bind", b.rootfs, b.rootfs], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", b.rootfs], check=True)
    bare, r = node.run(b, True), node.run(b)
    subprocess.run(["umount", b.rootfs], check=True)
    # Runtimes make mount points there, too, that the image has not.
    t.equal(r.out, bare.out, "an image that nothing can be made in starts as bare, without /nono")
    b = container(node, args=["sh", "-c", "id -u; nono why --path /etc/x --op write"], user={"uid": 1000, "gid": 1000})
    r = node.run(b.write())
    t.ok(r.out.startswith("1000\ndenied: write /etc/x"), "a user", r.out + r.err)
    shutil.rmtree(b.dir, ignore_errors=True)


def users(t, node):
    """In a user namespace."""
    b = container(node, args=["sh", "-c", "nono why --path /etc/x --op write"])
    b.config["linux"]["namespaces"].append({"type": "user"})
    for k in ("uidMappings", "gidMappings"):
        b.config["linux"][k] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    subprocess.run(["chown", "-R", "100000:100000", b.rootfs], check=True)
    r = node.run(b.write())
    t.ok(r.out.startswith("denied: write /etc/x"), "a user namespace", r.out + r.err)


if __name__ == "__main__":
    main((in_force, what_is_not_there, sockets, sockets_explained, disagreed, worktree, agree, images, roots, users, *((every_profile,) if sys.argv[1:] == ["all"] or sys.argv[2:] else ())))
