# SPDX-License-Identifier: Apache-2.0
"""filter.c: the policies as libseccomp makes filters of them."""
import re
import subprocess
from pathlib import Path

from lib.build import meson

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "out/tests"


def build(*targets: str) -> None:
    """The programs of this folder, built with the project's flags."""
    meson("tests", *(f"tests/seccomp/{t}" for t in targets))


def run(t) -> None:
    build("seccomp_filter")
    p = subprocess.run([BUILD / "tests/seccomp/seccomp_filter"], capture_output=True, text=True, timeout=300)
    for line in p.stdout.splitlines():
        m = re.match(r"(not )?ok \d+ - (.*)", line)
        if m:
            t.ok(not m[1], m[2])
        elif line.startswith("#"):
            print(line, flush=True)
    t.ok(p.returncode in (0, 1), "filter.c ran to its end", p.stderr)
