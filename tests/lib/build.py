# SPDX-License-Identifier: Apache-2.0
"""Build directories out/NAME that several areas use, each of which may come first.

    build.meson("asan", "tests/plugin/plugin_driver", setup=build.ASAN) / "tests/plugin/plugin_driver"

A lock beside the directory makes areas that run side by side wait for one another: Ninja does not.
"""
import fcntl
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ASAN = ("-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dwerror=true")


class BuildError(Exception):
    """What the compiler said."""


def meson(name: str, *targets: str, setup: tuple[str, ...] = (), env: dict[str, str] | None = None) -> Path:
    """out/NAME, set up with @setup and @env if it is not there, with @targets (all if none) up to date."""
    out = ROOT / "out" / name
    out.parent.mkdir(exist_ok=True)
    commands = [["ninja", "-C", out, "--quiet", *targets]]
    with open(ROOT / f"out/.{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "build.ninja").exists():
            commands.insert(0, ["meson", "setup", "--fatal-meson-warnings", "-Dtests=true", out, *setup])
        for command in commands:
            p = subprocess.run(list(map(str, command)), cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
            if p.returncode:
                raise BuildError(f"{command[0]} in out/{name} failed:\n{p.stdout[-4000:]}")
    return out
