# SPDX-License-Identifier: Apache-2.0
"""The tests of the command line once more, with programs under ASan and UBSan: paths that unit tests do not go.

The launcher is the real one: it starts in containers, which have none of a sanitizer's libraries.
"""
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lib import build
from lib.tap import Tap

ROOT = build.ROOT
PROGRAMS = ("nono-nri", "nono-runc", "kubefence")
# What drives kubefence, and the options of the others, in seconds.
SUITES = {
    "cli": [],
    "profiles": [],
    "seccomp": [],
    "node": ["doctor", "status", "machines", "predecessor", "owners"],
    "kata": ["inject", "merge", "policy"],
}


def programs(out: Path, into: Path) -> dict[str, str]:
    """The programs of build directory @out and the real launcher, in @into; the environment that makes tests take them."""
    into.mkdir(parents=True, exist_ok=True)
    for p in PROGRAMS:
        (into / p).unlink(missing_ok=True)
        shutil.copy2(out / f"src/{p}/{p}", into / p)
    (into / "nono").unlink(missing_ok=True)
    shutil.copy2(ROOT / "out/bin/nono", into / "nono")
    if not (into / "kubectl-nono").is_symlink():
        (into / "kubectl-nono").symlink_to("kubefence")
    return {"KUBEFENCE_BIN": str(into)}


def run(t: Tap) -> None:
    out = build.meson("asan", setup=build.ASAN)
    with tempfile.TemporaryDirectory(prefix="kf-san-") as d:
        # A program that ends with 1 has refused something: a sanitizer's own status is another one.
        env = {**os.environ, **programs(out, ROOT / "out/asan-bin"), "ASAN_OPTIONS": f"exitcode=99:log_path={d}/asan:detect_leaks=1",
               "UBSAN_OPTIONS": f"halt_on_error=1:exitcode=99:print_stacktrace=1:log_path={d}/ubsan"}
        p = subprocess.run([ROOT / "out/asan-bin/kubefence", "--version"], env={**env, "ASAN_OPTIONS": "help=1"}, capture_output=True)
        t.ok(b"AddressSanitizer" in p.stderr, "control: the programs are built with ASan", p)
        for suite, parts in SUITES.items():
            p = subprocess.run(["nice", ROOT / "tests" / suite / "run", "quick", *parts], env=env, capture_output=True, text=True, errors="replace",
                               stdin=subprocess.DEVNULL)
            failed = re.findall(r"^not ok .*$", p.stdout, re.MULTILINE)
            ran = len(re.findall(r"^ok ", p.stdout, re.MULTILINE))
            t.ok(p.returncode == 0 and ran and not failed, f"tests/{suite} {' '.join(parts)} under ASan and UBSan", f"{ran} ok\n" + "\n".join(failed[:20]) +
                 p.stderr[-2000:])
        said = sorted(Path(d).iterdir())
        t.ok(not said, "the sanitizers have nothing to say", "\n".join(f.read_text(errors="replace")[:3000] for f in said[:5]))
