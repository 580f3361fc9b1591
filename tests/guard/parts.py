# SPDX-License-Identifier: Apache-2.0
"""What the parts of this area share: which runtimes, and running every case on each."""
import os
import shutil
import sys
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lib import crun, tools  # noqa: E402
from lib.tap import Tap  # noqa: E402

from lib_guard import Node, own_mount_namespace  # noqa: E402


def runtimes(mode: str, always_new: bool = False) -> dict[str, str]:
    """The host's runc and crun, the runc of today, and what comes after it: a runc to be released, the newest crun."""
    found = {"runc": shutil.which("runc"), "crun": shutil.which("crun")}
    if mode == "all" or always_new:
        found["runc-new"] = str(tools.program("runc"))
    if mode == "all":
        found["runc-next"] = str(tools.program("runc", "1.6"))
        found["crun-new"] = str(crun.newest())
    missing = [k for k, v in found.items() if not v]
    if missing:
        sys.exit(f"Bail out! not installed: {missing}; run scripts/bootstrap test")
    return found


def main(cases, always_new=False) -> None:
    """Run each case(t, node) on a fresh node for each runtime, or the cases and runtimes that the command line names;
    @always_new: on today's runc also if quick."""
    mode = sys.argv[1] if len(sys.argv) > 1 else "quick"
    wanted = sys.argv[2:]
    own_mount_namespace()
    t = Tap()
    found = runtimes(mode, always_new)
    unknown = [w for w in wanted if w not in found and w not in {c.__name__ for c in cases}]
    if unknown:
        sys.exit(f"Bail out! neither a case nor a runtime: {unknown}")
    chosen = [c for c in cases if c.__name__ in wanted] or cases
    for name in [n for n in found if n in wanted] or found:
        for case in chosen:
            node = Node(found[name])
            node.name, node.is_crun = name, name.startswith("crun")
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
