# SPDX-License-Identifier: Apache-2.0
"""What the launcher does to a process besides the sandbox - as little as possible - and how it ends when it cannot."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile

import attacks
import box
from wait import DEADLINE, wait_until

STRICT_ERRNOS = {"ENOSYS": 38, "EOPNOTSUPP": 95, "EPERM": 1, "E2BIG": 7, "ENOMEM": 12}


def policy(body: str, name="default") -> str:
    text = f"nono-policy 1\nname {name}\n{body}"
    return text + f"sum {hashlib.sha256(text.encode()).hexdigest()}\n"


# Enough to run busybox, and nothing else.
MINIMAL = "fs rx /bin\nfs r /proc\n"


def with_nono(said: str) -> str:
    """The one thing that is changed: the launcher's directory is last in PATH."""
    return "".join(line.rstrip("\n") + ":/nono\n" if line.startswith("PATH=") else line for line in said.splitlines(True))


def untouched(t, b) -> None:
    """The process looks as if nobody had been there."""
    script = ("cat /proc/self/status | grep -E '^(Umask|Groups|Uid|Gid|SigP|SigB|SigI|SigC|Shd|Cap)'; tr '\\0' ' ' </proc/$$/cmdline; pwd; "
              "ls /proc/self/fd; env | sort; umask")
    env = ("JAVA_TOOL_OPTIONS=-x", "NODE_OPTIONS=-y", "LD_LIBRARY_PATH=/l", "PYTHONPATH=/p", "EMPTY=", "NONO_PROFILE=default",
           "BASH_ENV=/b", "GEM_HOME=/g")
    for user in ("0:0", "1000:1000", "12345:54321"):
        kw = dict(env=env, user=user, cwd="/work")
        plain = b.exec(["sh", "-c", script, "name", "a  b", ""], **kw)
        wrapped = b.exec(["sh", "-c", script, "name", "a  b", ""], profile="default", **kw)
        t.equal(wrapped.stdout, with_nono(plain.stdout), f"uid {user}: signals, umask, groups, capabilities, argv, cwd, descriptors, environment")
        t.equal(wrapped.returncode, 0, f"uid {user}: starts")
    by_fd = b.exec(["sh", "-c", script, "name", "a  b", ""], profile="p", by_fd=policy(MINIMAL, "p"), env=env, cwd="/work")
    plain = b.exec(["sh", "-c", script, "name", "a  b", ""], env=env, cwd="/work")
    t.equal(by_fd.stdout, with_nono(plain.stdout), "launched by descriptor: the same, and both descriptors are gone")
    p = b.exec(["sh", "-c", "grep NoNewPrivs /proc/self/status; grep Seccomp: /proc/self/status"], profile="default")
    t.ok("NoNewPrivs:\t1" in p.stdout and "Seccomp:\t0" in p.stdout, "no_new_privs is set; no filter where nothing needs one", p.stdout)
    p = b.exec(["sh", "-c", "grep Seccomp: /proc/self/status"], profile="strict")
    t.ok("Seccomp:\t2" in p.stdout, "a filter where the profile blocks the network", p.stdout)
    p = b.exec(["sh", "-c", "exit 7"], profile="default")
    t.equal(p.returncode, 7, "the exit status is the workload's")
    p = b.exec(["sh", "-c", "kill -9 $$"], profile="default")
    t.equal(p.returncode, 137, "so is death by a signal")


def program_lookup(t, b) -> None:
    """As the runtime would have found it."""
    for path in ("work/rel", "work/noexec", "work/text", "nono/sh"):
        with open(f"{b.rootfs if path[0] == 'w' else b.nono_dir + '/..'}/{path}", "w") as f:
            f.write("#!/bin/sh\necho found $0\n" if path != "work/text" else "no interpreter\n")
        os.chmod(f.name, 0o644 if path == "work/noexec" else 0o755)
    cases = (
        (["/work/rel"], "/work", (), "found /work/rel\n", "an absolute path"),
        (["./rel"], "/work", (), "found ./rel\n", "a path from the working directory"),
        (["echo", "x"], "/", ("PATH=/nowhere:/bin",), "x\n", "PATH, past what is missing"),
        (["sh", "-c", "echo x"], "/", ("PATH=/nono:/bin",), "x\n", "PATH, past the launcher's own directory"),
        (["sh", "-c", "echo x"], "/", ("PATH=//nono/./:/bin",), "x\n", "however that is spelt"),
        (["echo", "x"], "/", ("PATH=",), "x\n", "an empty PATH means the usual directories"),
    )
    for args, cwd, env, want, what in cases:
        t.equal(b.exec(args, profile="default", cwd=cwd, env=env).stdout, want, f"program: {what}")
    for args, env, message in (
        (["nosuch"], (), "nono: cannot start 'nosuch': executable file not found in $PATH\n"),
        (["rel"], ("PATH=.:/bin",), "nono: cannot start 'rel': executable file not found in $PATH\n"),
        (["/work/nosuch"], (), "nono: cannot start '/work/nosuch': No such file or directory\n"),
        (["/work"], (), "nono: cannot start '/work': Is a directory\n"),
        (["/work/text"], (), "nono: cannot start '/work/text': Exec format error\n"),
    ):
        p = b.exec(args, profile="default", cwd="/work", env=env)
        t.equal((p.returncode, p.stderr, p.stdout), (1, message, ""), f"program: {args[0]}: exit 1 and why")
    p = b.exec(["/work/noexec"], profile="default", user="1000:1000")
    t.equal((p.returncode, p.stderr), (1, "nono: cannot start '/work/noexec': Permission denied\n"), "program: not executable")


def usage(t, b) -> None:
    for args in ([], ["frobnicate"], ["wrap"], ["wrap", "--"], ["wrap", "--nope", "true"], ["wrap", "--profile"],
                 ["wrap", "--policy-fd", "x", "true"], ["wrap", "--block-net=1", "true"], ["why", "--op", "read"],
                 ["why", "--path", "/x", "--op", "fly"], ["setup"]):
        p = b.exec(["/nono/nono", *args])
        t.ok(p.returncode == 2 and p.stderr.startswith(("nono: ", "usage:")), f"usage error 2: nono {' '.join(args)}",
             (p.returncode, p.stderr))
    for args in (["wrap", "--open-port", "0", "true"], ["wrap", "--open-port", "65536", "true"], ["wrap", "--allow-connect-port", "x", "true"],
                 ["wrap", "--allow-cwd=1", "true"], ["wrap", "-vx", "true"], ["why", "--open-port", "80", "--path", "/x", "--op", "read"]):
        p = b.exec(["/nono/nono", *args])
        t.ok(p.returncode == 2 and p.stderr.startswith("nono: "), f"usage error 2: nono {' '.join(args)}", (p.returncode, p.stderr))
    for args in (["--help"], ["--version"], ["wrap", "--help"], ["wrap", "-h"], ["wrap", "--profile", "strict", "--help"], ["why", "--help"]):
        p = b.exec(["/nono/nono", *args])
        t.ok(p.returncode == 0 and "nono" in p.stdout and not p.stderr, f"nono {' '.join(args)}")
    for args in (["wrap", "echo", "x"], ["wrap", "-p", "default", "echo", "x"], ["wrap", "--profile=default", "echo", "x"],
                 ["-s", "wrap", "-s", "echo", "x"], ["wrap", "--workdir", "/work", "--", "echo", "x"],
                 ["wrap", "--allow-cwd", "--no-audit", "--no-diagnostics", "-vv", "echo", "x"],
                 ["wrap", "--open-port", "80", "--allow-connect-port=443", "echo", "x"]):
        t.equal(b.exec(["/nono/nono", *args]).stdout, "x\n", f"accepted: nono {' '.join(args)}")


def options(t, b) -> None:
    sh = ["sh", "-c", "echo x >/srv/new && echo x >/etc/one 2>/dev/null; cat /srv/new; cat /etc/one"]
    with open(f"{b.rootfs}/etc/one", "w") as f:
        f.write("old\n")
    p = b.exec(sh, profile="default", flags=["--allow", "/srv", "--write-file", "/etc/one"])
    t.equal(p.stdout, "x\nx\n", "--allow and --write-file add to the profile", )
    p = b.exec(["sh", "-c", "echo y >/srv/new"], profile="default", flags=["--read", "/srv"])
    t.ok(p.returncode, "--read does not grant writing")
    p = b.exec(["true"], profile="default", flags=["--allow", "/etc/one"])
    t.ok(p.returncode == 1 and "not a directory" in p.stderr, "--allow of a file is an error", p.stderr)
    p = b.exec(["true"], profile="default", flags=["--read-file", "/srv"])
    t.ok(p.returncode == 1 and "is a directory" in p.stderr, "--read-file of a directory is an error", p.stderr)
    p = b.exec(["cat", "/root/.netrc"], profile="default", flags=["--allow", "/root"])
    t.ok(p.returncode, "what the profile denies stays denied")
    p = b.exec(["sh", "-c", "pwd; echo x >here"], profile="strict", flags=["--workdir", "/srv", "--allow", "."])
    t.equal((p.stdout, p.returncode), ("/srv\n", 0), "--workdir, and --allow from there")
    p = b.exec(["true"], profile="default", flags=["--dry-run"])
    t.ok(p.returncode == 0 and "rwx   /tmp" in p.stdout and "deny  /run/secrets" in p.stdout, "--dry-run prints", p.stdout)
    p = b.exec(["echo", "x"], profile="default", flags=["-v"])
    t.ok(p.stdout == "x\n" and "rwx   /tmp" in p.stderr, "-v prints on stderr and runs")


def why(t, b) -> None:
    for path, op, allowed, reason in (
        ("/bin/sh", "exec", True, "r-x on /bin (policy line 3)"),
        ("/etc/passwd", "read", True, "r-x on /etc (policy line 3)"),
        ("/etc/passwd", "write", False, "no rule of profile default grants it"),
        ("/tmp/new/file", "write", True, "rwx on /tmp"),
        ("/var/run/x", "write", True, "on /run"),
        ("/root/.netrc", "read", False, "fs deny ~/.netrc"),
        ("relative", "write", True, "rwx on /work"),
        ("/sys/kernel", "write", False, "no rule"),
    ):
        p = b.exec(["/nono/nono", "why", "--path", path, "--op", op], profile="default", cwd="/work")
        says = ("allowed: " if allowed else "denied: ") in p.stdout and reason in p.stdout
        t.ok(says and p.returncode == (0 if allowed else 1), f"why {op} {path}", p.stdout + p.stderr)
    said = b.exec(["/nono/nono", "why", "--json", "--self", "--path", "/var/run/secrets/kubernetes.io/serviceaccount/token", "--op", "read"]).stdout
    said = json.loads(said)
    t.ok(not said["allowed"] and "fs deny" in said["reason"] and said["profile"] == "default" and said["ask"], "why --json: a secret that is not there is denied", said)
    b.exec(["sh", "-c", "echo x >/tmp/kf-mine; chmod 600 /tmp/kf-mine"])
    p = b.exec(["/nono/nono", "why", "--path", "/tmp/kf-mine", "--op", "read"], user="1000:1000")
    t.ok(p.stdout.startswith("allowed: ") and "owner and mode refuse it: uid 0, mode 0600; you are uid 1000" in p.stdout, "why: what is not the sandbox's doing is said", p.stdout)
    p = b.exec(["/nono/nono", "why", "--path", "/etc/x", "--op", "write"], profile="strict", env=("NONO_PROFILE=strict",), cwd="/work")
    t.ok("profile strict" in p.stdout, "why: the profile that the plugin names", p.stdout + p.stderr)
    forged = "/work/a\x1b[2J\nallowed: write /etc/passwd: profile default grants all"
    p = b.exec(["/nono/nono", "why", "--path", forged, "--op", "write"], env=("HOME=/work/\x1b]0;x\x07",))
    t.ok("\x1b" not in p.stdout and "\nallowed" not in p.stdout and "\\x1b[2J\\x0a" in p.stdout, "a path with escape sequences and lines is written out", p.stdout)


def nesting(t, b) -> None:
    nono = ["/nono/nono", "wrap", "--profile", "default", "--"]
    for more in (nono, ["/nono/nono", "wrap", "--allow", "/srv", "--"]):
        p = b.exec([*(more * 16), "echo", "x"])
        t.equal(p.stdout, "x\n", f"16 sandboxes stack: {' '.join(more)}")
        p = b.exec([*(more * 17), "echo", "x"])
        t.ok(p.returncode == 1 and p.stdout == "" and "already inside 16 sandboxes" in p.stderr, "the 17th is a clear error", p.stderr)
    p = b.exec([*nono, "sh", "-c", "echo x >/etc/new"], profile="default")
    t.ok(p.returncode, "inside another sandbox of the same policy it holds")
    for name in ("default", "in-cluster", "strict"):
        text = subprocess.run([f"{box.ROOT}/out/bin/kubefence", "profile", "compile", name], capture_output=True, text=True, check=True).stdout
        with open(f"{b.rootfs}/policy-{name}", "w") as f:
            f.write(text)
        by_text = b.exec(["sh", "-c", f"exec /nono/nono wrap --policy-fd 3 --profile {name} --dry-run 3</policy-{name}"]).stdout
        t.equal(b.exec(["/nono/nono", "wrap", "--profile", name, "--dry-run"]).stdout, by_text, f"the built-in {name} grants what its text does")
    p = b.exec(["/nono/nono", "wrap", "--profile", "strict", "--", "sh", "-c", "echo x >/work/x"], profile="default", cwd="/work")
    t.ok(p.returncode, "a stricter policy inside is not skipped")
    p = b.exec(["/nono/nono", "wrap", "--profile", "default", "--", "sh", "-c", "echo x >/work/x"], profile="strict", cwd="/work")
    t.ok(p.returncode, "a laxer policy inside does not widen")


def sources(t, b) -> None:
    """Policies come from beside the launcher or from a descriptor."""
    deny = policy(MINIMAL)
    p = b.exec(["cat", "/etc/passwd"], profile="default", by_fd=policy(MINIMAL))
    t.ok(p.returncode == 1 and "Permission denied" in p.stderr, "--policy-fd decides, not the built-in of that name", p.stderr)
    for text, message in ((deny.replace("/bin", "/etc"), "checksum"), (deny[:-5], "cut short"), (policy("fs fly /x\n"), "line 3"),
                          (policy("", "other"), "holds profile 'other'"), ("", "line 1"), ("x" * 70000, "longer than 65536"), ("x" * 3000000, "at most 2097152")):
        p = b.exec(["echo", "x"], profile="default", by_fd=text or "\n")
        t.ok(p.returncode == 1 and p.stdout == "" and message in p.stderr, f"--policy-fd: {message}: refused", p.stderr)
    p = b.exec(["/nono/nono", "wrap", "--policy-fd", "77", "echo", "x"])
    t.ok(p.returncode == 1 and not p.stdout, "--policy-fd of a closed descriptor: refused", p.stderr)
    profiles = f"{b.nono_dir}/profiles"

    def installed(name="default"):
        p = b.exec(["cat", "/etc/passwd"], profile=name)
        return p.returncode, p.stdout != "", p.stderr

    t.equal(installed()[:2], (0, True), "no directory of profiles: the built-in")
    os.mkdir(profiles)
    t.ok("is not installed" in installed()[2], "a directory without the profile: refused, no built-in", installed())
    with open(f"{profiles}/default", "w") as f:
        f.write(deny)
    os.chmod(f"{profiles}/default", 0o644)
    t.ok("Permission denied" in installed()[2] and installed()[2].startswith("cat"), "the installed profile decides", installed())

    def refused(what, message):
        r = installed()
        t.ok(r[:2] == (1, False) and message in r[2] and r[2].startswith("nono: "), f"{what}: refused", r)

    os.chown(f"{profiles}/default", 1000, 0)
    refused("profile of another user", "belongs to uid 1000")
    os.chown(f"{profiles}/default", 0, 0)
    os.chmod(f"{profiles}/default", 0o664)
    refused("profile that a group may write", "chmod go-w")
    os.chmod(f"{profiles}/default", 0o644)
    os.rename(f"{profiles}/default", f"{profiles}/elsewhere")
    os.symlink("elsewhere", f"{profiles}/default")
    refused("profile that is a symlink", "Symbolic link")
    os.unlink(f"{profiles}/default")
    os.mkfifo(f"{profiles}/default")
    refused("profile that is a FIFO", "not a regular file")
    os.unlink(f"{profiles}/default")
    with open(f"{profiles}/default", "w") as f:
        f.write(deny.replace("rx /bin", "rx /etc"))
    os.chmod(f"{profiles}/default", 0o644)
    refused("profile with a wrong checksum", "checksum")
    for name in ("../default", "a/b", "", "-x", "a" * 65):
        p = b.exec(["/nono/nono", "wrap", f"--profile={name}", "--", "echo", "x"])
        t.ok(p.returncode in (1, 2) and not p.stdout, f"profile name '{name[:12]}': refused", p.stderr)
    shutil.rmtree(profiles)
    os.symlink("/tmp", profiles)
    refused("directory of profiles that is a symlink", "profiles")
    os.unlink(profiles)


def rules(t, b) -> None:
    """Each kind of rule, from inside."""
    def run(body, script, **kw):
        p = b.exec(["sh", "-c", script], profile="p", by_fd=policy(MINIMAL + body, "p"), **kw)
        return p.stdout

    w = "echo x >/work/f && echo w; cat /work/f >/dev/null 2>&1 && echo r; cp /bin/busybox /work/true 2>/dev/null; /work/true 2>/dev/null && echo x; rm -f /work/f"
    with open(f"{b.rootfs}/work/f", "w") as f:
        f.write("f\n")
    shutil.copy2("/bin/busybox", f"{b.rootfs}/work/true")
    dev = "fs rw /dev/null\n"
    t.equal(run(f"{dev}fs r /work\n", "cat /work/f; " + w), "f\nr\n", "fs r")
    t.equal(run(f"{dev}fs rx /work\n", "cat /work/f; " + w), "f\nr\nx\n", "fs rx")
    t.equal(run(f"{dev}fs w /work\n", "cat /work/f 2>/dev/null; " + w), "w\n", "fs w")
    t.equal(run(f"{dev}fs rw /work\n", w), "w\nr\n", "fs rw: not what it wrote")
    t.equal(run(f"{dev}fs rwx /work\n", w), "w\nr\nx\n", "fs rwx")
    os.chmod(f"{b.rootfs}/work", 0o777)
    env = ("HOME=/work", "XDG_CONFIG_HOME=", "TMPDIR=/work/t")
    os.makedirs(f"{b.rootfs}/work/t", exist_ok=True)
    os.makedirs(f"{b.rootfs}/work/.config/a-1000", exist_ok=True)
    for rule, path in (("~", "/work"), ("$HOME", "/work"), ("$TMPDIR", "/work/t"), ("$XDG_CONFIG_HOME", "/work/.config"),
                       ("$XDG_CONFIG_HOME/a-$UID", "/work/.config/a-1000"), ("$WORKDIR/t", "/work/t")):
        os.chmod(f"{b.rootfs}{path}", 0o777)
        got = run(f"fs rw {rule}\n", f"echo x >{path}/v && cat {path}/v; cat /etc/passwd", user="1000:1000", env=env, cwd="/work")
        t.equal(got, "x\n", f"variable {rule}")
    for home in ("/", "/etc", "/usr", "/proc", "/dev", "/proc/1/root", "relative", "/nosuch", "/sys/kernel"):
        got = run("fs rwx ~\n", "echo x >/etc/v && echo wrote; cat /etc/passwd; echo end", env=(f"HOME={home}",))
        t.equal(got, "end\n", f"HOME={home} opens nothing")
    got = run("rlimit nofile 50 60\nrlimit core 0\n", "ulimit -n; ulimit -Hn; ulimit -c")
    t.equal(got, "50\n60\n0\n", "rlimit")
    got = run("env drop A*\nenv set B=2\n", "echo $A $A1 $B $C", env=("A=1", "A1=1", "B=1", "C=1"))
    t.equal(got, "2 1\n", "env drop and set")
    got = run("env keep PATH\nenv keep C\n", "env | grep -cE '^(A|B|NONO)'; echo $C", env=("A=1", "B=1", "C=1"))
    t.equal(got, "0\n1\n", "env keep")
    got = run("scope signal\n", "kill -CONT 1 2>/dev/null || echo refused; kill -0 $$ && echo own")
    t.equal(got, "refused\nown\n", "scope signal")


def volumes(t, b) -> None:
    odd = "/data/\\040\tt"
    script = ("for p in /data /data/ro /data/file '/data/a b' \"$ODD\"; do [ -d \"$p\" ] && f=\"$p/new\" || f=\"$p\"; (echo x >\"$f\") 2>/dev/null && echo w \"$p\" || echo - \"$p\"; done; "
              "cat /data/ro/in; echo x >/dev/termination-log && echo log; (echo x >/etc/new) 2>/dev/null || echo end")
    want = f"w /data\n- /data/ro\nw /data/file\nw /data/a b\nw {odd}\nin\nlog\nend\n"
    p = b.exec(["sh", "-c", script], profile="strict", env=(f"ODD={odd}",))
    t.equal(p.stdout, want, "volumes: directories, read-only ones, files, odd names")

    # Kernels before 6.8 and some seccomp policies do not have the calls that tell most quickly.
    dry = ["/nono/nono", "wrap", "--profile", "strict", "--dry-run"]
    told = b.exec(dry).stdout
    t.ok(told.count("(line 4)") == 10, "volumes: ten are told", told)
    for call, nr, error in (("listmount", 458, "38"), ("listmount", 458, "1"), ("statmount", 457, "1"), ("statx", 332, "1")):
        fault = ["/bin/kernel", "fault", str(nr), error]
        t.equal(b.exec([*fault, *dry]).stdout, told, f"volumes: {call} fails with errno {error}: the same ones")
        p = b.exec([*fault, "/nono/nono", "wrap", "--profile", "strict", "--", "sh", "-c", script], env=(f"ODD={odd}",))
        t.equal(p.stdout, want, f"volumes: {call} fails with errno {error}: the same may be written")


def many_volumes(t) -> None:
    """More than the launcher lets listmount(2) tell; one below another, and one that is none."""
    with box.Box() as b:
        os.mkdir(f"{b.dir}/v")
        places = [f"/data/{i}" for i in range(140)] + ["/data/7/below", "/dev/mine"]
        b.mounts = [{"destination": p, "type": "bind", "source": f"{b.dir}/v", "options": ["bind", "ro" if p == "/data/9" else "rw"]}
                    for p in places]
        os.mkdir(f"{b.dir}/v/below")
        b.start()
        told = b.exec(["/nono/nono", "wrap", "--profile", "strict", "--dry-run"]).stdout
        t.equal(sorted(re.findall(r"^  (\S+) +(/\S+)  \(line 4\)", told, re.MULTILINE)),
                sorted([("r-x" if p == "/data/9" else "rwx", p) for p in places if p.startswith("/data")] +
                       [("rw-", "/dev/shm"), ("rwx", "/dev/termination-log")] +  # the profile names the one
                       [("r--", f"/etc/{f}") for f in ("hosts", "hostname", "resolv.conf")]),
                "140 volumes: all are told, and nothing else")


def failures(t, b) -> None:
    """A kernel or seccomp policy that says no: nothing is ever run."""
    calls = {"landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}
    for call, nr in calls.items():
        for name, number in STRICT_ERRNOS.items():
            p = b.exec(["/bin/kernel", "fault", str(nr), str(number), "/nono/nono", "wrap", "--", "echo", "x"])
            t.ok(p.returncode == 1 and p.stdout == "" and p.stderr.startswith("nono: "), f"{call} fails with {name}: exit 1, nothing runs", p.stderr)
    for what, nr, errno in (("prctl(PR_SET_NO_NEW_PRIVS)", 157, "1:38"), ("prctl(PR_SET_SECCOMP)", 157, "22:22"),
                            ("openat2", 437, "1"), ("getdents64", 217, "5"), ("execve", 59, "13")):
        errno = {"1:38": "1:38", "22:22": "22:22"}.get(errno, errno)
        p = b.exec(["/bin/kernel", "fault", str(nr), errno, "/nono/nono", "wrap", "--profile", "strict", "--", "echo", "x"])
        if what == "execve":  # kernel itself could not start the launcher either
            t.ok(p.stdout == "", "execve fails: nothing runs")
            continue
        t.ok(p.returncode == 1 and p.stdout == "" and p.stderr.startswith("nono: "), f"{what} fails: exit 1, nothing runs", (p.returncode, p.stderr))
    for what, nr, lie in (("landlock_restrict_self", 446, "0"), ("prctl(PR_SET_NO_NEW_PRIVS)", 157, "0:38"),
                          ("prctl(PR_SET_SECCOMP)", 157, "0:22")):
        p = b.exec(["/bin/kernel", "fault", str(nr), lie, "/nono/nono", "wrap", "--profile", "strict", "--", "echo", "x"])
        t.ok(p.returncode == 1 and p.stdout == "" and "not in force" in p.stderr,
             f"{what} says 0 and does nothing: exit 1, nothing runs", (p.returncode, p.stdout, p.stderr))
    p = b.exec(["/bin/kernel", "fault", "317", "1", "/nono/nono", "wrap", "--profile", "strict", "--", "echo", "x"])
    t.equal(p.stdout, "x\n", "seccomp(2) is not needed, as many seccomp policies forbid it")
    log = f"{b.dir}/pod/termination-log"
    with open(log, "w") as f:
        f.write("earlier words\n")
    b.exec(["nosuch"], profile="default")
    with open(log) as f:
        t.equal(f.read(), "earlier words\nnono: cannot start 'nosuch': executable file not found in $PATH\n", "failures reach the termination log")
    p = b.exec(["sh", "-c", "cat /dev/termination-log; echo no"], profile="p", by_fd=policy(MINIMAL, "p"))
    t.equal(p.stdout, "no\n", "a policy that does not grant the termination log")
    b.exec(["/work/rel"], profile="p", by_fd=policy(MINIMAL, "p"))
    with open(log) as f:
        t.equal(f.read().splitlines()[2:], ["nono: cannot start '/work/rel': Permission denied: profile 'p' does not let it, or the interpreter that it names, "
                                            "be executed"], "a failure inside the sandbox reaches it")


def other_kernels(t, b) -> None:
    """Landlock's versions as far as a supervisor can play them: what this kernel lacks of a newer one is not enforced then."""
    script = ("echo x >/etc/new; cat /root/.netrc; echo x >/work/new && cat /work/new; mv /work/new /work/t/new 2>/dev/null; ls /work/t/new; "
              "mkdir /work/d && mv /work/d /work/e && rmdir /work/e && echo dirs; : >/dev/null && echo dev")
    with open(f"{b.rootfs}/etc/long", "w") as f:
        f.write("long\n")
    real = box.landlock_abi()
    for abi in (*range(1, 12), 99):
        def run(profile, *args):
            return b.exec(["/bin/kernel", "abi", str(abi), "/nono/nono", "wrap", "--profile", profile, "--", *args], cwd="/work")

        p = b.exec(["/bin/kernel", "abi", str(abi), "/nono/nono", "setup", "--check-only"])
        t.ok(p.stdout.startswith(f"Landlock ABI {abi}\n"), f"ABI {abi}: reported", p.stdout)
        t.equal("newer than ABI 11" in p.stdout, abi > 11, f"ABI {abi}: and whether it is newer than what is known")
        p = run("default", "sh", "-c", script)
        ok = p.stdout == "x\n/work/t/new\ndirs\ndev\n" and "netrc': Permission denied" in p.stderr and "/etc/new: Permission denied" in p.stderr
        t.ok(ok, f"ABI {abi}: reads, writes and refuses as always", p.stdout + p.stderr)
        p = run("strict", "/bin/attack", "all")
        got = dict(line.split() for line in p.stdout.splitlines())
        rows = ("write_etc", "ssh_key", "tcp_connect", "udp", "make_char", "truncate_etc", "unix_abstract", "rename_out")
        want = {k: v for k, v in attacks.expected("strict", min(abi, real)).items() if k in rows}
        t.equal({k: got.get(k) for k in want}, want, f"ABI {abi}: attacks, with what that ABI cannot do")
        p = b.exec(["/bin/kernel", "abi", str(abi), "sh", "-c", "exec /nono/nono wrap --policy-fd 3 --profile p -- echo x 3</policy-net"])
        good = p.stdout == "x\n" if abi >= 4 else p.returncode == 1 and "ABI 4" in p.stderr
        t.ok(good, f"ABI {abi}: single ports {'work' if abi >= 4 else 'are refused'}", p.stderr)
        p = b.exec(["/bin/kernel", "abi", str(abi), "sh", "-c", "exec /nono/nono wrap --policy-fd 3 --profile p -- echo x 3</policy-udp"])
        good = p.stdout == "x\n" if abi >= 10 else p.returncode == 1 and p.stdout == "" and "this kernel has ABI" in p.stderr
        t.ok(good, f"ABI {abi}: single UDP ports {'are asked for' if abi >= 10 else 'are refused'}", p.stderr)
        p = b.exec(["/bin/kernel", "abi", str(abi), "sh", "-c", "exec /nono/nono wrap --policy-fd 3 --profile p -- echo x 3</policy-scope"])
        good = p.stdout == "x\n" if abi >= 6 else p.returncode == 1 and "ABI 6" in p.stderr
        t.ok(good, f"ABI {abi}: scopes {'work' if abi >= 6 else 'are refused'}", p.stderr)


def deny(t) -> None:
    """Places that are denied but hold nothing do not cost the directory above them."""
    new = "echo x >/run/new && cat /run/new; echo x >/root/new && cat /root/new"
    with box.Box() as b:
        b.start()
        t.equal(b.exec(["sh", "-c", new], profile="default").stdout, "x\nx\n", "nothing there")
    with box.Box() as b:
        os.makedirs(f"{b.rootfs}/run/secrets/kubernetes.io/serviceaccount")
        b.start()
        t.equal(b.exec(["sh", "-c", new], profile="default").stdout, "x\nx\n", "empty directories, as a removed mount leaves them")
    with box.Box(masked=["/run/secrets", "/root/.ssh", "/root/.netrc"]) as b:
        os.makedirs(f"{b.rootfs}/run/secrets")
        os.makedirs(f"{b.rootfs}/root/.ssh")
        for name in ("run/secrets/s", "root/.ssh/id", "root/.netrc"):
            with open(f"{b.rootfs}/{name}", "w") as f:
                f.write("secret\n")
        b.start()
        p = b.exec(["sh", "-c", new + "; cat /run/secrets/s /root/.ssh/id /root/.netrc"], profile="default")
        t.equal(p.stdout, "x\nx\n", "masked by the runtime")
    with box.Box() as b:
        os.makedirs(f"{b.rootfs}/run/secrets")
        with open(f"{b.rootfs}/run/secrets/s", "w") as f:
            f.write("secret\n")
        b.start()
        p = b.exec(["sh", "-c", "echo x >/run/new; cat /run/secrets/s; ls /run/secrets"], profile="default")
        t.equal((p.stdout, p.returncode), ("s\n", 0), "a secret that nobody took away is granted around: no new files beside it")
        t.ok("secrets/s': Permission denied" in p.stderr, "and it is not read", p.stderr)


def root_links(t) -> None:
    """What a symlink in / leads to is granted, wherever that is; what lies beside it is not."""
    with box.Box() as b:
        for name in ("one", "two", "three", "secret"):
            os.makedirs(f"{b.rootfs}/home/u/{name}")
            with open(f"{b.rootfs}/home/u/{name}/file", "w") as f:
                f.write(name)
        with open(f"{b.rootfs}/usr/bin/tool", "w") as f:
            f.write("tool")
        for link, target in (("first", "home/u/one"), ("second", "/home/u/two"), ("third", "usr/../home/u/three"), ("fourth", "usr/bin")):
            os.symlink(target, f"{b.rootfs}/{link}")
        b.start()
        for path, want in (("/first/file", "one"), ("/second/file", "two"), ("/third/file", "three"), ("/fourth/tool", "tool"),
                           ("/home/u/secret/file", "")):
            t.equal(b.exec(["cat", path], profile="strict").stdout, want, f"symlinks in /: {path} reads {want!r}")
        t.equal(b.exec(["cat", "/home/u/secret/file"]).stdout, "secret", "symlinks in /: the file is there")


def ports(t) -> None:
    def make(b, name, body):
        with open(f"{b.rootfs}/{name}", "w") as f:
            f.write(policy(MINIMAL + "fs rwx-homes\n" + body, "p"))

    with box.Box() as b:
        target = box.build("attack", f"{b.rootfs}/bin/attack")
        os.makedirs(f"{b.rootfs}/root/.ssh")
        with open(f"{b.rootfs}/root/.ssh/id_rsa", "w") as f:
            f.write("x")
        b.init = ["/bin/attack", "target"]
        make(b, "yes", "net block\nnet connect 7007 443\nnet bind 7070\n")
        make(b, "no", "net block\nnet connect 443\nnet bind 443\n")
        make(b, "lax", "net connect 443\n")
        b.start(ready="ready")

        def run(policy_file, row):
            p = b.exec(["sh", "-c", f"exec /nono/nono wrap --policy-fd 3 --profile p -- /bin/attack {row} 3</{policy_file}"])
            return p.stdout.split()[-1:] or p.stderr

        for file, row, want in (("yes", "tcp_connect", "ok"), ("no", "tcp_connect", "EACCES"), ("yes", "tcp_listen", "ok"),
                                ("no", "tcp_listen", "EACCES"), ("yes", "udp", "EACCES"), ("yes", "mptcp", "EACCES"),
                                ("lax", "tcp_connect", "EACCES"), ("lax", "udp", "ok"), ("lax", "mptcp", "EPROTONOSUPPORT"),
                                ("lax", "tcp_listen", "ok"), ("lax", "io_uring", "ENOSYS")):
            t.equal(run(file, row), [want], f"net rules '{file}': {row}")
        assert target


def reclaim(t, b) -> None:
    """Rules survive the kernel forgetting what is not in use."""
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("2\n")  # that it may be written is a control of its own
    script = ("cat /proc/meminfo >/dev/null && cat /proc/self/status >/dev/null && touch /tmp/go; "
              "while [ ! -e /tmp/went ]; do sleep 0.05; done; cat /proc/meminfo >/dev/null && cat /proc/self/stat >/dev/null && "
              "cat /etc/passwd >/dev/null && echo x >/work/again && echo same")
    for f in ("go", "went"):
        if os.path.exists(f"{b.rootfs}/tmp/{f}"):
            os.unlink(f"{b.rootfs}/tmp/{f}")
    p = subprocess.Popen(["runc", "--root", f"{b.dir}/runc", "exec", "--cwd", "/work", b.id, "/nono/nono", "wrap", "--", "sh", "-c", script],
                         text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists(f"{b.rootfs}/tmp/go") or p.poll() is not None, "the first half")
    subprocess.run(["sync"])
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3\n")
    with open(f"{b.rootfs}/tmp/went", "w"):
        pass
    t.equal(p.communicate(timeout=DEADLINE)[0], "same\n", "/proc, image and work directory after drop_caches")


def system_calls(t) -> None:
    """How much of the system a start costs."""
    with tempfile.TemporaryDirectory() as d:
        box.busybox_rootfs(f"{d}/root")
        shutil.copy2(box.NONO, f"{d}/root/nono/nono")
        inner = 'mount -t proc proc "$0/proc" && exec chroot "$0" /nono/nono wrap -- /bin/true'
        subprocess.run(["strace", "-f", "-o", f"{d}/trace", "unshare", "-m", "sh", "-c", inner, f"{d}/root"], check=True,
                       env={**os.environ, "HOME": "/root"})
        with open(f"{d}/trace") as f:
            lines = [m[1] for m in re.finditer(r"^\d+\s+(\w+\(.*)", f.read(), re.MULTILINE)]
    lines = lines[next(i for i, line in enumerate(lines) if line.startswith('execve("/nono/nono"')):]
    first = next(i for i, line in enumerate(lines[1:], 1) if line.startswith("execve"))
    t.ok(first <= 300, f"{first} system calls from the launcher's start to the workload's: at most 300")
    t.ok(not any(line.startswith("seccomp(") for line in lines), "none of them is seccomp(2)")


def run(t) -> None:
    mounts = []
    b = box.Box(caps=box.available_caps())
    with b:
        box.build("kernel", f"{b.rootfs}/bin/kernel")
        box.build("attack", f"{b.rootfs}/bin/attack")
        for d in ("root/.ssh", "data", "work/t"):
            os.makedirs(f"{b.rootfs}/{d}", exist_ok=True)
        for name, text in (("root/.netrc", "secret\n"), ("root/.ssh/id_rsa", "secret\n"), ("etc/target", "x\n"), ("etc/victim", "x\n"),
                           ("policy-net", policy(MINIMAL + "net connect 443\n", "p")),
                           ("policy-udp", policy(MINIMAL + "net block\nnet connect-udp 53\n", "p")),
                           ("policy-scope", policy(MINIMAL + "scope signal\n", "p"))):
            with open(f"{b.rootfs}/{name}", "w") as f:
                f.write(text)
        for name in ("v", "ro", "a b", "odd"):
            os.mkdir(f"{b.dir}/{name}")
        for name in ("ro/in", "file"):
            with open(f"{b.dir}/{name}", "w") as f:
                f.write("in\n" if name == "ro/in" else "")
        for source, destination, access in (("v", "/data", ["rw"]), ("ro", "/data/ro", ["ro"]), ("file", "/data/file", ["rw"]),
                                             ("a b", "/data/a b", ["rw"]), ("odd", "/data/\\040\tt", ["rw"])):
            mounts.append({"destination": destination, "type": "bind", "source": f"{b.dir}/{source}", "options": ["bind", *access]})
        b.mounts = mounts
        b.init = ["/bin/attack", "target"]
        b.start(ready="ready")
        for case in (untouched, program_lookup, usage, options, why, nesting, rules, volumes, failures, other_kernels, reclaim, sources):
            t.case(case.__name__, case, t, b)
    for case in (deny, root_links, many_volumes, ports, system_calls):
        t.case(case.__name__, case, t)
