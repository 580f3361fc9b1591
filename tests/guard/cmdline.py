# SPDX-License-Identifier: Apache-2.0
"""The guard reads a command line as the runtime behind it does: random ones, written in every way that a runtime takes,
and in some that it should not.  Whatever ran, ran in the sandbox.  KF_SEED=N repeats a run."""
import random
import shutil
import sys

from parts import main

from lib import seed

SEED = seed.choose()
LINES = {"quick": 40, "all": 1000}
ODD = 0.04  # so much of everything, else no line is right
# What a reader may take for nothing, in front of a word and behind it.
AROUND = (" ", "\t", "\n", "\u00a0", "\u2003", "\u0085", "\v")
EVIL = "echo x >/etc/bare; echo x >/tmp/ran"


class Lines:
    """Command lines for a container that runs, and for bundles of new ones."""

    def __init__(self, node, rnd: random.Random):
        self.node, self.rnd = node, rnd
        self.running = node.bundle(["sleep", "1000"]).write()
        self.cid = node.start(self.running)
        self.process = node.dir / "evil.json"

    def word(self, text: str) -> str:
        def odd() -> str:
            return self.rnd.choice(AROUND) if self.rnd.random() < ODD else ""
        return odd() + text + odd()

    def flag(self, name: str, value: str | None = None) -> list[str]:
        name = ("---" if self.rnd.random() < ODD else self.rnd.choice(("--", "--", "-"))) + name
        if value is None:
            return [self.word(name + ("=" if self.rnd.random() < ODD else self.rnd.choice(("", "=false"))))]
        form = self.rnd.randrange(5)
        return [self.word(f"{name}={value}")] if form == 0 else [self.word(name), value] if form < 4 else [self.word(name), self.word(value)]

    def some(self, flags: list, most: int) -> list[str]:
        out = []
        for _ in range(self.rnd.randint(0, most)):
            out += self.flag(*self.rnd.choice(flags))
        return out + (self.rnd.choice((["--"], [""], ["-"], ["foo"], [" "])) if self.rnd.random() < ODD else [])

    def line(self) -> tuple[list[str], list]:
        """Arguments, and the bundles in whose file system it may show."""
        n, root = self.node, str(self.node.root)
        globals_ = [("root", root), ("log", str(n.dir / "log")), ("log-format", "json"), ("debug",)]
        start = self.some(globals_, 2) + (["--root", root] if self.rnd.random() < 0.7 else self.flag("root", root)) + self.some(globals_, 1)
        if self.rnd.random() < 0.6:
            self.process.write_text('{"args":["sh","-c","%s"],"cwd":"/","env":["PATH=/bin"],"user":{"uid":0,"gid":0}}' % EVIL)
            flags = [("process", str(self.process)), ("p", str(self.process)), ("cwd", "/"), ("env", "A=b"), ("e", "A=b"), ("preserve-fds", "0"), ("root", root),
                     ("user", "0:0"), ("cap", "CAP_SYS_ADMIN"), ("no-new-privs",)]
            tail = ["sh", "-c", EVIL] if self.rnd.random() < 1 - ODD else [*self.flag(*self.rnd.choice(flags)), "sh", "-c", EVIL]
            return [*start, self.word("exec"), *self.some(flags, 3), self.word(self.cid), *tail], [self.running]
        one, two = (n.bundle(["sh", "-c", EVIL]).write() for _ in range(2))
        flags = [("bundle", str(one.dir)), ("b", str(two.dir)), ("bundle", str(two.dir)), ("no-pivot",), ("keep",), ("preserve-fds", "0"), ("root", root),
                 ("pid-file", str(n.dir / "pid"))]
        tail = self.some(flags, 1) if self.rnd.random() < ODD else []
        return [*start, self.word("run"), *self.some(flags, 2), "--bundle", str(one.dir), *self.some(flags, 1), self.word(n.id()), *tail], [one, two]


def any_line(t, node):
    rnd = random.Random(f"{SEED}{node.name}")
    lines = Lines(node, rnd)
    plain = [node.exec(lines.cid, "sh", "-c", EVIL, file=file) for file in (True, False)] + [node.run(node.bundle(["sh", "-c", EVIL]).write())]
    t.ok((lines.running.rootfs / "tmp/ran").exists() and not (lines.running.rootfs / "etc/bare").exists(), "plain lines run sandboxed", plain)
    wrong, ran = [], 0
    for _ in range(LINES["all" if sys.argv[1:2] == ["all"] else "quick"]):
        argv, bundles = lines.line()
        r = node.call_line(node.guard_path, *argv)
        for b in bundles:
            if (b.rootfs / "etc/bare").exists():
                wrong.append(f"{argv}: {r}")
            ran += (b.rootfs / "tmp/ran").exists()
            for trace in ("etc/bare", "tmp/ran"):
                (b.rootfs / trace).unlink(missing_ok=True)
            if b is not lines.running:
                shutil.rmtree(b.dir)
    t.ok(not wrong, f"command lines of all kinds, seed {SEED}: {ran} processes ran, all sandboxed", "\n".join(wrong))
    node.exec(lines.cid, "sh", "-c", EVIL, bare=True)
    t.ok((lines.running.rootfs / "etc/bare").exists(), "control: what the bare runtime starts writes /etc")


if __name__ == "__main__":
    main([any_line])
