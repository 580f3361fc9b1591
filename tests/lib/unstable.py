# SPDX-License-Identifier: Apache-2.0
"""Packages of Debian's unstable distribution, unpacked into the cache with what they depend on; nothing of them is installed.

    root = unstable.unpacked("crun", arrange)       # arrange(fresh, root) makes of a fresh tree what will lie at root

What "unstable" is moves: remove the folder NAME-unstable from the cache to have it anew.
"""
import fcntl
import shutil
import subprocess
from pathlib import Path
from typing import Callable

from . import tools


def unpacked(package: str, arrange: Callable[[Path, Path], None]) -> Path:
    out = tools.cache() / f"{package}-unstable"
    tools.cache().mkdir(parents=True, exist_ok=True)
    with open(tools.cache() / f".{out.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.is_dir():
            print(f"# unpacking {package} from Debian's unstable distribution", flush=True)
            fresh = Path(f"{out}.new")
            shutil.rmtree(fresh, ignore_errors=True)
            # An index that has not been renewed lately is good enough here; signatures are checked all the same.
            subprocess.run(["mmdebstrap", "--quiet", "--variant=extract", "--mode=root", f"--include={package}",
                            '--aptopt=Acquire::Check-Valid-Until "false"', "unstable", fresh], check=True, stdin=subprocess.DEVNULL)
            arrange(fresh, out)
            fresh.rename(out)
    return out
