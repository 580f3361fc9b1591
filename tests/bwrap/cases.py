#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bubblewrap's own test cases and the option sets of its callers, as our answer to them: the same, stronger, or an error.

Where the real bubblewrap can be asked, it is the control.
"""
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile

import lib_bwrap  # finds tests/lib
from lib_bwrap import OURS, REAL, run
from tap import Tap
from wait import wait_until

HOST = ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
NOBODY = 65534
# Refuse mkdir(2) with EPERM; let all else pass.
MKDIR = 83 if os.uname().machine == "x86_64" else 34
NO_MKDIR = b"".join(struct.pack("<HBBI", *i) for i in (
    (0x20, 0, 0, 0), (0x15, 0, 1, MKDIR), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)))


def shell(script: str, *options: str, program: str = OURS, **more) -> subprocess.CompletedProcess:
    return run(program, [*HOST, *options, "--", "sh", "-c", script], **more)


def options_of(program: str) -> set[str]:
    done = run(program, ["--help"])
    return set(re.findall(r"^ +(--[a-z0-9-]+)", done.stdout + done.stderr, re.MULTILINE))


def command_line(t: Tap) -> None:
    missing = options_of(REAL) - options_of(OURS)
    t.equal(missing, set(), "every option of the installed bubblewrap is known")
    done = run(OURS, ["--help"])
    t.ok("usage: bwrap" in done.stdout and not done.returncode, "--help says how to use it")
    t.equal(run(OURS, ["--version"]).stdout.split()[0], "bubblewrap", "--version names it as callers expect")
    done = run(OURS, ["--no-such-option", "true"])
    t.ok(done.returncode == 1 and "Unknown option --no-such-option" in done.stderr, "an unknown option is an error", done)
    t.equal(run(OURS, []).returncode, 1, "no command is an error")
    refused = re.findall(r"^    --([a-z0-9-]+)(?: (.*))?\n        error:", run(OURS, ["--help"]).stdout, re.MULTILINE)
    silent = []
    for name, args in refused:
        done = run(OURS, [f"--{name}", *("0" for _ in args.split()), *HOST, "--", "echo", "ran"])
        if done.returncode != 1 or f"--{name}: " not in done.stderr or "ran" in done.stdout:
            silent.append(f"{name}: {done}")
    t.ok(len(refused) > 15, "control: the help says which options are errors", refused)
    t.equal(silent, [], "each of those names itself and why, and nothing runs")
    t.equal(shell("exit 42").returncode, 42, "the exit status is the program's")
    t.equal(shell("kill -9 $$", "--unshare-pid").returncode, 128 + 9, "a signal is 128 and its number")
    done = run(OURS, [*HOST, "/no/such/program"])
    t.ok(done.returncode == 1 and "execvp /no/such/program: No such file" in done.stderr, "a program that is missing", done)
    done = run(OURS, [*HOST, "--", "--dev-bind", "/dev", "/dev", "sh"])
    t.ok(done.returncode == 1 and "execvp --dev-bind" in done.stderr, "options behind -- are the program's", done)
    done = run(OURS, ["--bind", "/source-enoent", "/dest", "true"])
    t.ok(done.stderr.startswith("bwrap: Can't find source path /source-enoent"), "a missing source is named", done.stderr)


def given_arguments(t: Tap) -> None:
    with tempfile.TemporaryFile() as args:
        args.write(b"\0".join((b"--setenv", b"A", b"from a descriptor", b"")))
        args.seek(0)
        done = shell('echo "$A"', "--args", str(args.fileno()), pass_fds=(args.fileno(),))
        t.equal(done.stdout, "from a descriptor\n", "--args reads options from a descriptor")
    done = run(OURS, [*HOST, "--argv0", "right", "--", "sh", "-c", "echo $0"])
    t.equal(done.stdout, "right\n", "--argv0")
    done = shell('echo "$A:$B:$PWD"', "--setenv", "A", "1", "--setenv", "B", "2", "--unsetenv", "A", "--chdir", "/usr")
    t.equal(done.stdout, ":2:/usr\n", "--setenv, --unsetenv, --chdir, and PWD follows")
    done = run(OURS, [*HOST, "--clearenv", "--setenv", "A", "1", "--", "/usr/bin/env"], cwd="/usr")
    t.equal(sorted(done.stdout.split()), ["A=1", "PWD=/usr"], "--clearenv leaves PWD and what is set after it")


def files(t: Tap) -> None:
    with lib_bwrap.Place() as place:
        tree = place.tree
        done = shell(f"cat {tree}/file && echo x >> {tree}/file")
        t.ok(done.stdout == "file" and done.returncode, "a read-only root can be read and not written", done)
        done = shell(f"echo x >> {tree}/file", "--bind", tree, tree)
        t.ok(not done.returncode, "control: what is bound can be written", done)
        done = shell(f"cat {tree}/a/file; ls {tree}/a; ls {tree}; cat {tree}/e/file", "--tmpfs", f"{tree}/a")
        t.ok(done.stdout == "e/file" and done.stderr.count("denied") == 3,
             "what a tmpfs hides can be neither read nor listed, and what is beside it can be read", done)
        done = shell("true", "--bind", f"{tree}/a", f"{tree}/e")
        t.ok(done.returncode == 1 and "without mounts a path shows what lies there" in done.stderr,
             "a bind to another place is an error", done)
        done = shell("true", "--bind", tree, tree, "--ro-bind", f"{tree}/a", f"{tree}/a")
        t.ok(done.returncode == 1 and "filesystem.readonly" in done.stderr,
             "something read-only below something writable is an error that names the remedy", done)
        kept(t, tree)
        done = shell("for f in null zero random; do head -c 1 /dev/$f >/dev/null || exit; done; echo x > /dev/null; "
                     "echo x > /dev/shm/kf-bwrap-made")
        t.ok(done.returncode and "/dev/shm" in done.stderr and done.stderr.count("\n") == 1,
             "--dev: the usual devices, no shared memory", done)
        done = run(OURS, ["--ro-bind", "/", "/", "--", "sh", "-c", "cat /dev/zero | head -c 1"])
        t.ok("denied" in done.stderr, "without --dev no devices, as with bubblewrap's mounts", done)


def kept(t: Tap, tree: str) -> None:
    """As under a profile with filesystem.readonly: the place is mounted over itself read-only."""
    script = (f"mount --bind {tree}/a/b {tree}/a/b && mount -o remount,bind,ro {tree}/a/b && "
              f"mount --bind {tree}/a {tree}/a 2>/dev/null; "
              f"mount --bind {tree}/a/b {tree}/a/b && mount -o remount,bind,ro {tree}/a/b && exec \"$@\"")

    def inside(todo: str, *options: str) -> subprocess.CompletedProcess:
        return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", OURS, *HOST, *options, "--", "sh", "-c", todo],
                              capture_output=True, text=True, timeout=60, check=False)

    options = ("--bind", tree, tree, "--ro-bind", f"{tree}/a/b", f"{tree}/a/b")
    done = inside(f"echo made > {tree}/new && cat {tree}/a/b/file", *options)
    t.ok(not done.returncode and done.stdout == "a/b/file",
         "read-only below writable works where a mount keeps it already: the rest can be written", done)
    done = inside(f"echo x > {tree}/a/b/file; rm -rf {tree}/a/b; mv {tree}/a/b {tree}/a/x; mv {tree}/a {tree}/x", *options)
    left = all(os.path.isfile(f"{tree}/{f}") for f in ("a/b/file", "a/b/c/file"))
    t.ok(done.returncode and left, "it can be neither changed nor moved away, nor can what leads to it", done)
    # The directory above is no mount: it could be renamed.
    script = f"mount --bind {tree}/a/b {tree}/a/b && mount -o remount,bind,ro {tree}/a/b && exec \"$@\""
    done = inside("true", *options)
    t.ok(done.returncode == 1 and "filesystem.readonly" in done.stderr,
         "a mount whose directory can be renamed is not enough", done)


def network(t: Tap) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ask = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5); print('there')"
        t.equal(run(OURS, [*HOST, "--", "python3", "-c", ask]).stdout, "there\n", "control: the network is the container's")
        done = run(OURS, [*HOST, "--unshare-net", "--", "python3", "-c", ask])
        t.ok(done.returncode and "there" not in done.stdout, "--unshare-net: no connection, not even on the loopback", done)
        done = run(OURS, [*HOST, "--unshare-all", "--share-net", "--", "python3", "-c", ask])
        t.equal(done.stdout, "there\n", "--share-net takes that back")
    ask = "import socket; a, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))"
    done = run(OURS, [*HOST, "--unshare-net", "--", "python3", "-c", ask])
    t.equal(done.stdout, "b'x'\n", "unix sockets work within it")


def processes(t: Tap) -> None:
    with subprocess.Popen(["sleep", "600"]) as outside:
        try:
            todo = f"cat /proc/{outside.pid}/cmdline; cat /proc/{outside.pid}/environ; kill -9 {outside.pid}"
            done = shell(todo, "--unshare-pid")
            t.ok(done.returncode and not done.stdout and outside.poll() is None,
                 "--unshare-pid --proc: a process outside can be neither seen nor signalled", done)
            done = shell("cat /proc/self/status /proc/meminfo >/dev/null", "--unshare-pid")
            t.ok(done.returncode, "the processes that the program starts have no /proc of their own", done)
            done = run(OURS, [*HOST, "--unshare-pid", "--", "cat", "/proc/self/status", "/proc/meminfo"])
            t.ok("MemTotal" in done.stdout and "Seccomp" in done.stdout, "the program has, and the system's", done)
            done = shell(f"cat /proc/{outside.pid}/cmdline; kill -9 {outside.pid}")
            t.ok("sleep" in done.stdout, "control: without it /proc is the container's", done)
            t.equal(wait_until(outside.poll, "the process outside to end"), -9, "control: without it a process outside can be signalled")
        finally:
            outside.kill()


def sleeping(mark: str) -> list[int]:
    """The processes "sleep MARK"."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if f.read().split(b"\0")[:2] == [b"sleep", mark.encode()]:
                    found.append(int(pid))
        except OSError:
            continue
    return found


def ends(t: Tap) -> None:
    def start(mark: str, *options: str, parent: str = "") -> subprocess.Popen:
        # A child that has left group, session and parent behind.
        todo = f"(setsid sleep {mark} </dev/null >/dev/null 2>&1 &) ; setsid sleep {mark}"
        args = [OURS, *HOST, *options, "--", "sh", "-c", todo]
        args = ["sh", "-c", '"$@" & wait', "sh", *args] if parent else args
        child = subprocess.Popen(args, start_new_session=True)
        wait_until(lambda: len(sleeping(mark)) >= 2, "both processes")
        return child

    def end_program(child: subprocess.Popen, mark: str) -> None:
        keeper = children(child.pid)[0]
        os.kill(children(keeper)[0], signal.SIGKILL)

    rows = (
        ("the program ends", ("--unshare-pid",), "", end_program),
        ("bwrap is killed", ("--unshare-pid", "--new-session"), "", lambda child, mark: child.kill()),
        ("its keeper is killed", ("--unshare-pid",), "", lambda child, mark: os.kill(children(child.pid)[0], 9)),
        ("the parent is killed", ("--unshare-pid", "--die-with-parent"), "sh", lambda child, mark: child.kill()),
    )
    for number, (name, options, parent, act) in enumerate(rows):
        mark = f"4{number}{os.getpid()}"
        with start(mark, *options, parent=parent) as child:
            try:
                act(child, mark)
                gone = wait_until(lambda m=mark: not sleeping(m), f"all to end when {name}")
                t.ok(gone, f"all that was started ends when {name}")
            finally:
                child.kill()
                for pid in sleeping(mark):
                    os.kill(pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(p) for p in f.read().split()]


def restrictions(t: Tap) -> None:
    todo = "ipcmk -M 4096 | sed 's/.*: //' | { read id && ipcrm -m $id && echo made; }"
    t.equal(shell(todo).stdout, "made\n", "control: System V shared memory is the container's")
    done = shell(todo, "--unshare-ipc")
    t.ok("made" not in done.stdout and "denied" in done.stderr, "--unshare-ipc: none", done)
    t.equal(shell("unshare -U true").returncode, 0, "control: a user namespace can be made here")
    for option in ("--disable-userns", "--assert-userns-disabled"):
        t.ok(shell("unshare -U true", option).returncode, f"{option}: none")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as work, tempfile.TemporaryFile() as program:
        program.write(NO_MKDIR)
        for who in OURS, REAL:
            program.seek(0)
            done = shell(f"mkdir {work}/d; echo status $?", "--bind", work, work, "--seccomp", str(program.fileno()),
                         program=who, pass_fds=(program.fileno(),))
            t.ok("status 1" in done.stdout, f"--seccomp: the program decides ({os.path.basename(who)})", done)
        done = shell(f"mkdir {work}/d; echo status $?", "--bind", work, work)
        t.ok("status 0" in done.stdout, "control: without it the call works", done)
    for what, options, uid, want in (("--cap-drop ALL", ("--cap-drop", "ALL"), 0, 0), ("--unshare-user", ("--unshare-user",), 0, 0),
                                     ("a user who is not root", (), NOBODY, 0)):
        done = shell("grep CapEff /proc/self/status", *options, user=uid)
        t.equal(done.stdout.split()[1:], [f"{want:016x}"], f"{what}: no capability")
    now = int(shell("grep CapEff /proc/self/status").stdout.split()[1], 16)
    left = int(shell("grep CapEff /proc/self/status", "--cap-drop", "CAP_CHOWN").stdout.split()[1], 16)
    t.equal((now & 1, left), (1, now & ~1), "--cap-drop CAP_CHOWN: that one")
    done = shell("ps -o sid= -p $$; echo $$", "--new-session")
    t.equal(len(set(done.stdout.split())), 1, "--new-session: the program leads a session")
    t.ok(shell("true", "--uid", "4711").returncode and not shell("true", "--uid", str(os.getuid())).returncode,
         "--uid: another one is an error, the present one is not")


# As the callers build them, by release; W is the workspace, H something to hide.
CALLERS = {
    "codex 0.100": "--new-session --die-with-parent --ro-bind / / --dev /dev --bind W W --unshare-pid --unshare-net --proc /proc",
    "codex 0.140": "--new-session --die-with-parent --ro-bind / / --dev /dev --bind W W --unshare-user --unshare-pid "
                   "--unshare-net --proc /proc --argv0 codex-linux-sandbox",
    "codex 0.169": "--as-pid-1 --new-session --die-with-parent --ro-bind / / --dev /dev --perms 000 --tmpfs H "
                   "--remount-ro H --bind W W --unshare-user --unshare-pid --unshare-ipc --unshare-net --proc /proc "
                   "--cap-drop ALL --argv0 codex-linux-sandbox",
    "codex 0.169, its probe": "--as-pid-1 --new-session --die-with-parent --tmpfs / --dev /dev --ro-bind /bin /bin --ro-bind "
                              "/etc /etc --ro-bind /lib /lib --ro-bind /lib64 /lib64 --ro-bind /sbin /sbin --ro-bind /usr "
                              "/usr --unshare-user --unshare-pid --unshare-ipc --unshare-net --proc /proc --cap-drop ALL",
    "sandbox-runtime 0.0.10": "--new-session --die-with-parent --unshare-net --ro-bind / / --bind W W --tmpfs H --dev /dev "
                              "--unshare-pid --proc /proc",
    "sandbox-runtime 0.0.20, weaker nested": "--new-session --die-with-parent --unshare-net --ro-bind / / --bind W W --dev "
                                             "/dev --unshare-pid",
    "sandbox-runtime, no write limits": "--new-session --die-with-parent --bind / / --tmpfs H --dev /dev --unshare-pid "
                                        "--proc /proc",
}


def callers(t: Tap) -> None:
    for name, line in CALLERS.items():
        with lib_bwrap.Place() as place:
            work, hidden = f"{place.tree}/a", f"{place.tree}/e"
            words = [{"W": work, "H": hidden}.get(word, word) for word in line.split()]
            done = run(OURS, [*words, "--", "sh", "-c", f"echo x > {work}/made; cat {hidden}/file; cat /etc/passwd >/dev/null && echo ran"])
            written = os.path.exists(f"{work}/made")
            wanted = "W" in line.split() or "--bind / /" in line
            if "no write limits" in name:
                # What is hidden lies below something writable, and no mount keeps it.
                t.ok(done.returncode == 1 and "Can't keep" in done.stderr, f"{name}: an error with its reason", done)
                continue
            hides = "H" in line.split()
            t.ok("ran" in done.stdout and written == wanted and ("e/file" not in done.stdout if hides else True),
                 f"{name}: starts, writes its workspace, and sees nothing of what is hidden", done)


def run_all(t: Tap) -> None:
    for case in (command_line, given_arguments, files, network, processes, ends, restrictions, callers):
        t.case(case.__name__, case, t)


def main() -> int:
    t = Tap()
    run_all(t)
    return t.done()


if __name__ == "__main__":
    sys.exit(main())
