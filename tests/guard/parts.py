# SPDX-License-Identifier: Apache-2.0
"""What the parts of this area share: which runtimes, and running every case on each."""
import os
import shutil
import sys
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import tools  # noqa: E402
from lib.tap import Tap  # noqa: E402

from lib_guard import Node, own_mount_namespace  # noqa: E402


def runtimes(mode: str, always_new: bool) -> dict[str, str]:
    """The host's runc and crun, and the newest runc from its Go module."""
    found = {"runc": shutil.which("runc"), "crun": shutil.which("crun")}
    if mode == "all" or always_new:
        found["runc-new"] = str(tools.program("runc"))
    missing = [k for k, v in found.items() if not v]
    if missing:
        sys.exit(f"Bail out! not installed: {missing}; run scripts/bootstrap test")
    return found


def main(cases, always_new=False) -> None:
    """Run each case(t, node) on a fresh node for each runtime; @always_new: on the newest also if quick."""
    mode = sys.argv[1] if len(sys.argv) > 1 else "quick"
    wanted = sys.argv[2:]
    own_mount_namespace()
    t = Tap()
    for name, path in runtimes(mode, always_new).items():
        for case in cases:
            if wanted and case.__name__ not in wanted:
                continue
            node = Node(path)
            node.name = name
            ok = t.ok
            t.ok = lambda c, n, d="", ok=ok, name=name: ok(c, f"{name}: {n}", d)
            try:
                case(t, node)
            except Exception:  # every kind is a failed test
                t.ok(False, case.__name__, traceback.format_exc())
            finally:
                t.ok = ok
                node.close()
    sys.exit(t.done())
