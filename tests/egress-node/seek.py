# SPDX-License-Identifier: Apache-2.0
"""Looking for a key where a pod has no business to have it: in memory, environment and command line of its processes, and in
its files."""
import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def spellings(key: str) -> list[bytes]:
    """The key, and what it looks like in a password."""
    return [key.encode(), *(base64.b64encode(("x" * n + key).encode())[8:-8] for n in range(3))]


def present(pid: str) -> Iterator[tuple[int, int, str]]:
    """Runs of pages that the process has, of each mapping that can be read: agents reserve a hundred times as much."""
    mappings, span = [], None
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if m := re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line):
            span = (int(m[1], 16), int(m[2], 16), m[4]) if m[3].startswith("r") and not m[4].startswith("[v") else None
        elif span and (m := re.match(r"(?:Rss|Swap): +([0-9]+) kB", line)) and int(m[1]):
            mappings.append(span)
            span = None
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pages:
        for first, last, name in mappings:
            at, begin = first // PAGE, None
            pages.seek(8 * at)
            while at < last // PAGE:
                data = pages.read(8 * min(last // PAGE - at, 1 << 20))
                if not data:
                    break
                for i in range(0, len(data), 8):
                    there = data[i + 7] & 0xC0  # present, or swapped
                    if there and begin is None:
                        begin = at
                    elif not there and begin is not None:
                        yield begin * PAGE, at * PAGE, name
                        begin = None
                    at += 1
            if begin is not None:
                yield begin * PAGE, at * PAGE, name


def in_process(pid: str, needles: list[bytes]) -> list[str]:
    """Where the process has one of @needles."""
    found = [name for name in ("environ", "cmdline") if any(n in Path(f"/proc/{pid}/{name}").read_bytes() for n in needles)]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        tail = b""
        for first, last, name in present(pid):
            try:
                mem.seek(first)
                part = mem.read(last - first)
            except (OSError, ValueError):  # it has gone meanwhile
                continue
            if any(n in tail + part for n in needles):
                found.append(f"memory {name}")
            tail = part[-200:]
    return found


def look(init: int, places: list[Path], needles: list[bytes], kind: str = "pid") -> tuple[list[str], int]:
    """Where the key is: in processes of the container's PID namespace, or of another @kind, and in files.  And how many
    processes there were."""
    namespace, found, n = os.readlink(f"/proc/{init}/ns/{kind}"), [], 0
    for d in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(d / "ns" / kind) != namespace:
                continue
        except OSError:  # it has ended, or is the machine's own
            continue
        try:
            name = (d / "comm").read_text().strip()
            found += [f"{name}: {where}" for where in in_process(d.name, needles)]
            n += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
    for place in places:
        for top, _, files in os.walk(place):
            for name in files:
                path = Path(top, name)
                if path.is_file() and not path.is_symlink():
                    text = path.read_bytes()
                    found += [str(path)] * any(x in text for x in needles)
    return found, n
