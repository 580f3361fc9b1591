# SPDX-License-Identifier: Apache-2.0
"""A tree to sandbox, the probe, and both programs: ours and the real bubblewrap."""
import atexit
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [f"{ROOT}/tests/lib"]
# Where any user can execute it.
_SHARED = tempfile.mkdtemp(prefix="kf-bwrap-bin-", dir="/var/tmp")
atexit.register(shutil.rmtree, _SHARED, True)
os.chmod(_SHARED, 0o755)
OURS = shutil.copy(f"{ROOT}/out/bin/nono-bwrap", _SHARED)
REAL = shutil.which("bwrap", path="/usr/bin:/bin")
DIRS = ("a", "a/b", "a/b/c", "a/d", "e", "e/f")
FILES = ("a/file", "a/b/file", "a/b/c/file", "a/d/file", "e/file", "e/f/file", "file")


class Place:
    """A directory with a small tree in it, "t", and the probe."""

    def __init__(self) -> None:
        self.dir = tempfile.mkdtemp(prefix="kf-bwrap-", dir="/var/tmp")
        self.tree, self.probe = f"{self.dir}/t", f"{self.dir}/probe"
        subprocess.run(["cc", "-O1", "-static", "-o", self.probe, f"{HERE}/probe.c"], check=True)
        for d in DIRS:
            os.makedirs(f"{self.tree}/{d}")
        for f in FILES:
            with open(f"{self.tree}/{f}", "w", encoding="ascii") as out:
                out.write(f)
        os.symlink("a/b", f"{self.tree}/link")
        self.paths = [self.tree] + [f"{self.tree}/{p}" for p in (*DIRS, *FILES, "link", "link/c", "link/file",
                                                                 "link/c/file")]

    def other_name(self, path: str) -> str:
        """The same object by the tree's symlink, or by where that leads."""
        a, b = f"{self.tree}/a/b", f"{self.tree}/link"
        return b + path[len(a):] if path.startswith(a) else a + path[len(b):] if path.startswith(b) else path

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.dir, ignore_errors=True)

    def ask(self, program: str, options: list[str], base: tuple[str, ...] = ()) -> "dict | str":
        """What the probe can do in the sandbox of @options, or why there is none."""
        done = run(program, [*base, *options, "--ro-bind", self.probe, self.probe, "--", self.probe, *self.paths])
        if done.returncode != 0:
            return done.stderr.strip() or f"status {done.returncode}"
        answers = {}
        for line in done.stdout.splitlines():
            path, letters, *names = line.split(" ")
            answers[path] = (set(letters), set(names))
        return answers


def run(program: str, args: list[str], **more) -> subprocess.CompletedProcess:
    return subprocess.run([program, *args], capture_output=True, text=True, timeout=60, check=False, **more)
