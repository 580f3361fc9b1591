# SPDX-License-Identifier: Apache-2.0
"""Which lines of the libraries tests go through: unit tests, replayed fuzz cases, and the programs in tests of the rest.

Programs that are confined, or sandboxed, cannot write down what they went through; of src/sandbox, src/confine, src/grants and
of what only the daemons use there is what their unit tests do (tests/unit/apart.h, counted.c).  Files that gcov writes are in the way of tests that compare
directories, so that what these suites say about the programs does not count here.  tests/guard is left out: with counted
lines it does not come to its end.
"""
import collections
import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sanitized
from lib import build
from lib.tap import Tap

ROOT = build.ROOT
FLOOR = 90  # per cent of a library's lines
# Of one where that is not reached, and what is missing.
FLOORS: dict[str, int] = {}
PROGRAMS = ("kubefence", "nono", "nono-bwrap", "nono-egress", "nono-nri", "nono-runc", "profilec")
SUITES = {
    "cli": [],
    "profiles": [],
    "seccomp": [],
    "node": [],
    "kata": ["inject", "merge", "policy", "setup", "verify"],
    "plugin": [],
}


def in_process(t: Tap, out: Path) -> None:
    """Unit tests and fuzz cases."""
    env = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"}
    failed = []
    for f in sorted([*(out / "tests/unit").glob("test_*"), *(out / "tests/fuzz").glob("fuzz_*")]):
        if not f.is_file() or not os.access(f, os.X_OK):
            continue
        regress = ROOT / "tests/fuzz/regress" / f.name.removeprefix("fuzz_")
        inputs = sorted(regress.iterdir()) if f.name.startswith("fuzz_") else []
        if subprocess.run([f, *inputs], cwd=ROOT, env=env, capture_output=True).returncode:
            failed.append(f.name)
    t.equal(failed, [], "unit tests and fuzz cases pass when lines are counted")


def counted(out: Path) -> dict[tuple[str, int], int]:
    """(file of src, line): how often any program went through it."""
    ret: dict[tuple[str, int], int] = collections.defaultdict(int)

    def one(notes: Path) -> str:
        return subprocess.run(["gcov", "--json-format", "--stdout", notes], cwd=out, capture_output=True, text=True, check=True, timeout=60).stdout

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for text in pool.map(one, sorted((out / "src").rglob("*.c*.gcno"))):
            for f in json.loads(text)["files"]:
                name = os.path.relpath(out / f["file"], ROOT)
                if name.startswith("src/"):
                    for line in f["lines"]:
                        ret[name, line["line_number"]] += line["count"]
    return ret


def run(t: Tap) -> None:
    out = build.meson("coverage", setup=("-Db_coverage=true", "-Doptimization=0"))
    for f in out.rglob("*.gcda"):
        f.unlink()
    in_process(t, out)
    env = {**os.environ, **sanitized.programs(out, ROOT / "out/coverage-bin"), "GCOV_ERROR_FILE": "/dev/null"}
    for suite, parts in SUITES.items():
        p = subprocess.run(["nice", ROOT / "tests" / suite / "run", "quick", *parts], env=env, capture_output=True, text=True, errors="replace",
                           stdin=subprocess.DEVNULL)
        t.ok(re.search(r"^ok ", p.stdout, re.MULTILINE), f"tests/{suite} {' '.join(parts)} has run", p.stdout[-1000:] + p.stderr[-1000:])
    lines = collections.defaultdict(lambda: [0, 0])
    for (file, _), count in counted(out).items():
        folder = lines[file.split("/")[1]]
        folder[0] += count > 0
        folder[1] += 1
    libraries = {k: v for k, v in lines.items() if k not in PROGRAMS}
    below = []
    for folder, (hit, total) in sorted(lines.items()):
        percent, floor = 100 * hit / total if total else 100, FLOORS.get(folder, FLOOR)
        print(f"# {folder:12} {hit:6} of {total:6} lines {percent:6.1f} %{'' if folder in libraries else '  (program)'}")
        if folder in libraries and percent < floor:
            below.append(f"{folder}: {percent:.1f} %, its floor is {floor} %")
    hit, total = (sum(v[i] for v in libraries.values()) for i in (0, 1))
    print(f"# {'libraries':12} {hit:6} of {total:6} lines {100 * hit / total:6.1f} %")
    t.ok(total > 10000 and 100 * hit / total >= FLOOR, f"tests go through {FLOOR} % of the libraries' lines", f"{hit} of {total}")
    t.equal(below, [], "... and through as much of each as can be asked of it")
    t.equal(sorted(set(FLOORS) - set(libraries)), [], "every floor is a library's")
