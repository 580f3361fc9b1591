# SPDX-License-Identifier: Apache-2.0
"""kubefence status: the page's data in a terminal, in a pipe, and as JSON; what it leaves behind on a terminal."""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

from lib import hostile
from lib.tap import Tap
from lib.wait import wait_until

from harness import DEADLINE, PLUGIN, Node

STATUS = [PLUGIN.parent / "kubefence", "status"]
SH = "arg=/bin/sh"
ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"


def end_by_signals() -> None:
    """Who starts the tests in the background ignores some, and what is ignored is inherited."""
    for sig in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(sig, signal.SIG_DFL)


class Terminal:
    """A program on a pseudo-terminal of our own, and what it has written there."""

    def __init__(self, command: list, rows: int = 24, columns: int = 80, **env):
        self.main, side = pty.openpty()
        self.resize(rows, columns)
        self.modes = termios.tcgetattr(self.main)
        self.process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, process_group=0, preexec_fn=end_by_signals,
                                        env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, "TERM": "xterm", **env})
        os.close(side)
        self.text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.main)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self) -> None:
        while select.select([self.main], [], [], 0)[0]:
            try:
                piece = os.read(self.main, 65536)
            except OSError:  # nobody has the other end open
                return
            if not piece:
                return
            self.text += piece

    def wait(self, what: bytes, since: int = 0) -> None:
        wait_until(lambda: self.read() or self.text.find(what, since) >= 0, f"{what!r} on the terminal")

    def screen(self) -> list[str]:
        """The lines of the last picture, without escapes."""
        last = self.text[self.text.rindex(b"\x1b[H"):].decode()
        for escape in ("\x1b[H", "\x1b[K", "\x1b[J", "\x1b[32m", "\x1b[33m", "\x1b[31;1m", "\x1b[1m", "\x1b[0m"):
            last = last.replace(escape, "")
        return last.replace("\r", "").split("\n")


def node(containers: int = 0) -> Node:
    n = Node()
    n.start("--log-level", "warn", sync=f"n={containers} launcher={n.launcher.parent} {SH}")
    n.denials_dir.mkdir(exist_ok=True)
    (n.denials_dir / "sandboxes").write_text("")
    return n


def denial(**more) -> str:
    return json.dumps({"time": "2026-11-28T18:55:32.123Z", "namespace": "team", "pod": "p", "container": "main", "profile": "strict", "process": "cat",
                       "kind": "file", "what": "read", "path": "/etc/shadow", "count": 3, **more}) + "\n"


def said(t: Tap) -> None:
    """Once: for people, for programs, and where there is nothing to ask."""
    with node() as n:
        command = [*STATUS, "--state-dir", n.state]
        n.must(f"create id=c-1 uid=u-1 pod=p-1 ns=team name=main {SH}")
        (n.denials_dir / "log").write_text(denial() + "half a li")
        wait_until(lambda: n.metadata("u-1", "c-1").exists(), "the state")
        n.call(f"create id=r uid=r pod=wrong ns=team name=main annotation=nono.sh/profile:nosuch {SH}")
        p = subprocess.run(command, capture_output=True, text=True)
        t.ok("  team/wrong main: profile 'nosuch' does not exist on this node" in p.stdout, "status tells what was refused lately, and why", p.stdout)
        t.ok(p.returncode == 0 and "√ ready for sandboxed pods\n" in p.stdout and "containerd 2.3.4" in p.stdout and "1 containers, 0 outside" in p.stdout and
             "team       p-1  main       default  sandboxed  no" in p.stdout and
             "2026-11-28T18:55:32 team/p main [strict] cat may not read /etc/shadow (3 times)\n" in p.stdout, "status tells what there is", p.stdout + p.stderr)
        t.ok("\x1b" not in p.stdout, "... without colours where there is no terminal")
        p = subprocess.run([*command, "-o", "json"], capture_output=True, text=True)
        o = json.loads(p.stdout)
        t.equal((o["ready"], [c["container_id"] for c in o["containers"]], [d["path"] for d in o["denials"]]), (True, ["c-1"], ["/etc/shadow"]),
                "... and as JSON, without the half line")
        for i, s in enumerate(s for s in hostile.STRINGS.values() if not {"\n", "\r", " ", "\t", "="} & set(s) and len(s) < 1000):
            n.must(f"create id=h-{i} uid=h-{i} pod={s} ns={s} name={s} {SH}")
        (n.denials_dir / "log").write_text("".join(denial(path="/" + s, process=s, pod=s) for s in hostile.STRINGS.values() if len(s) < 1000))
        for how in ([], ["-o", "json"]):
            p = subprocess.run([*command, *how], capture_output=True)
            t.equal((p.returncode, hostile.raw(p.stdout)), (0, ""), f"hostile names are text {how}")
        n.must("close")
        n.wait_entry("disconnected")
        p = subprocess.run(command, capture_output=True, text=True)
        t.ok(p.returncode == 1 and "× not ready: not connected to the runtime" in p.stdout, "a node that is not ready: exit status 1", p.stdout)
        p = subprocess.run([*STATUS, "--state-dir", "/nonexistent"], capture_output=True, text=True)
        t.ok(p.returncode == 1 and "nono-nri does not run on this node" in p.stderr, "no plugin: that is said", p.stderr)


def watched(t: Tap) -> None:
    """On a terminal: in its place, as large as that is, and gone without a trace, whatever ends it."""
    with node(1000) as n:
        command = [*STATUS, "--watch", "--interval", "1", "--state-dir", n.state]
        wait_until(lambda: len(list(n.state.glob("uid-*"))) == 1000, "the state")
        (n.denials_dir / "log").write_text("".join(denial(pod=f"p-{i}") for i in range(100)))
        with Terminal(command) as term:
            term.wait(b"last denials")
            term.wait(b"\x1b[J")
            lines = term.screen()
            t.ok(term.text.startswith(ENTER) and len(lines) <= 24 and max(map(len, lines)) <= 80, "what is shown fits 24 lines of 80", lines)
            t.ok(any("1000 containers" in x for x in lines) and any(" more" in x for x in lines) and any("p-99" in x for x in lines),
                 "... with the number of those that do not fit, and the last denials", lines)
            t.ok(b"\x1b[32m" in term.text, "in colours")
            before = len(term.text)
            term.resize(50, 132)
            term.process.send_signal(signal.SIGWINCH)
            term.wait(b"\x1b[J", before)
            lines = term.screen()
            t.ok(40 < len(lines) <= 50 and max(map(len, lines)) > 80, f"a larger terminal is used at once: {len(lines)} lines", lines)
            before = len(term.text)
            n.must(f"create id=new uid=new pod=aaa ns=aaa name=new {SH}")
            term.wait(b"aaa", before)
            t.ok(True, "what is new appears")
            term.process.send_signal(signal.SIGTSTP)
            term.wait(LEAVE)
            _, status = wait_until(lambda: (s := os.waitpid(term.process.pid, os.WUNTRACED | os.WNOHANG))[0] and s, "the stop")
            t.ok(os.WIFSTOPPED(status), "Ctrl-Z: the shell has its screen back, and the program is stopped")
            before = len(term.text)
            term.process.send_signal(signal.SIGCONT)
            term.wait(ENTER, before)
            term.wait(b"\x1b[J", before)
            t.ok(True, "... and comes back")
            for p in n.plugins:
                p.kill()
                p.wait()
            term.wait(b"nono-nri does not run on this node")
            t.ok(term.process.poll() is None, "a plugin that has ended is said, and waited for")
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with Terminal(command) as term:
                term.wait(b"\x1b[J")
                term.process.send_signal(sig)
                status = term.process.wait(DEADLINE)
                term.read()
                t.ok(status == -sig and term.text.endswith(b"\x1b[?7h\x1b[?25h" + LEAVE) and termios.tcgetattr(term.main) == term.modes,
                     f"{sig.name} ends it, with screen, cursor and modes as they were", (status, term.text[-40:]))
        for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
            with Terminal(command, **{name: value}) as term:
                term.wait(b"\x1b[J")
                t.ok(b"\x1b[32m" not in term.text and b"\x1b[31;1m" not in term.text and b"\x1b[1m" not in term.text, f"{name}={value}: none")


def piped(t: Tap) -> None:
    """In a pipe it is text, block after block, until nobody reads."""
    with node() as n:
        command = [*STATUS, "--watch", "--interval", "1", "--state-dir", n.state]
        for how, ends in (([], b"\n\n"), (["-o", "json"], b"}\n")):
            with subprocess.Popen([*command, *how], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
                text, end = b"", time.monotonic() + DEADLINE
                while (text.count(b"kubefence on ") if not how else text.count(ends)) < 2 and time.monotonic() < end:
                    text += os.read(p.stdout.fileno(), 65536)
                p.stdout.close()
                t.ok(b"\x1b" not in text, f"a pipe has no escapes {how}", text)
                t.ok(p.wait(DEADLINE) != 0, "... and it ends when nobody reads")
        if Path("/dev/full").exists():
            p = subprocess.run([*command], stdout=open("/dev/full", "w"), stderr=subprocess.PIPE, text=True, timeout=DEADLINE)
            t.ok(p.returncode == 1, "a disk that is full ends it", p)
