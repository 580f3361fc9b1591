# SPDX-License-Identifier: Apache-2.0
"""A checker that looks at one translation unit at a time: gcc's -fanalyzer, clang-tidy.

Both take minutes for all of src.  What one said of a file stays in out/analyze/TOOL until the file, one of the headers it
includes, the compiler's arguments or the checker change.
"""
import hashlib
import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAID = re.compile(r"^(?:\.\./)*([^:\s]+):(\d+):(?:\d+:)? (?:warning|error): (.*?) \[([\w.,=+-]+)\](?: \[(-W[\w-]+)\])?$", re.MULTILINE)
# What a compiler writes; a checker's is not kept.
OUTPUT = re.compile(r" -o \S+| -M[QF] \S+| -MD| -fdiagnostics-color=\S+| -fcolor-diagnostics")


@cache
def content(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except FileNotFoundError:
        return b""


def included(build: Path) -> dict[str, list[Path]]:
    """object file: what it was made of, as Ninja knows."""
    p = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True)
    ret: dict[str, list[Path]] = {}
    for line in p.stdout.splitlines():
        if line.startswith("    "):
            ret[last].append(build / line.strip())
        elif ": #deps" in line:
            last = line.split(":")[0]
            ret[last] = []
    return ret


class Unit:
    """A file and how it is compiled."""

    def __init__(self, build: Path, entry: dict, deps: list[Path]):
        self.build, self.deps = build, deps
        self.name = os.path.relpath(build / entry["file"], ROOT)
        self.command = shlex.split(OUTPUT.sub("", entry["command"]))
        if self.command[0].endswith("ccache"):
            self.command.pop(0)


def units(build: Path, ending: tuple[str, ...] = (".c",)) -> list[Unit]:
    """The files of src, each once, with the first command that compiles it."""
    deps, ret = included(build), {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        u = Unit(build, entry, deps.get(entry["output"], []))
        if u.name.startswith("src/") and u.name.endswith(ending):
            ret.setdefault(u.name, u)
    return list(ret.values())


def key(tool: list[str], u: Unit) -> str:
    digest = hashlib.sha256("\0".join([*tool, *u.command]).encode())
    for path in [ROOT / u.name, *u.deps]:
        digest.update(str(path).encode() + content(path))
    return digest.hexdigest()


def findings(text: str) -> list[tuple[str, str, str]]:
    """(check, file, line and message) of each warning, each once."""
    ret = []
    for m in SAID.finditer(text):
        name = os.path.normpath(m[1])
        name = os.path.relpath(name, ROOT) if name.startswith("/") else re.sub(r"^out/[\w-]+/(\.\./)*", "", name)
        found = (m[5] or m[4], name, f"{m[2]}: {m[3]}")
        if found not in ret:
            ret.append(found)
    return ret


def check(tool: str, version: list[str], look: list[Unit], arguments) -> list[tuple[str, str, str]]:
    """The findings in @look; arguments(unit) is the command, @version what it depends on besides."""
    kept = ROOT / "out/analyze" / tool
    kept.mkdir(parents=True, exist_ok=True)

    def one(u: Unit) -> str:
        at = kept / key(version, u)
        if at.exists():
            return at.read_text()
        p = subprocess.run(["nice", *arguments(u)], cwd=u.build, capture_output=True, text=True, errors="replace")
        text = p.stdout + p.stderr
        if p.returncode and not SAID.search(text):
            raise RuntimeError(f"{tool} failed on {u.name}:\n{text[-3000:]}")
        fresh = at.with_suffix(f".{os.getpid()}")
        fresh.write_text("\n".join(m[0] for m in SAID.finditer(text)))
        fresh.replace(at)
        return at.read_text()

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return [f for text in pool.map(one, look) for f in findings(text)]
