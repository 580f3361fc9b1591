#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random command lines for bubblewrap: what ours grants, the real one grants too, path by path; or ours is an error.

The real one makes namespaces and mounts, as root on this machine; ours gets by without.
"""
import random
import sys

import lib_bwrap  # finds tests/lib
import seed
from tap import Tap

ROUNDS = {"quick": 150, "all": 5000}
# With these a program can start in both.
BASES = {
    "everything": ("--ro-bind", "/", "/"),
    "a few directories": ("--tmpfs", "/", "--ro-bind", "/usr", "/usr", "--dir", "/var/tmp"),
    "everything, to be written": ("--bind", "/", "/"),
}


def mount(rng: random.Random, place: lib_bwrap.Place) -> list[str]:
    path = f"{place.tree}/{rng.choice(('', *lib_bwrap.DIRS, *lib_bwrap.FILES, 'link', 'missing'))}".rstrip("/")
    kind = rng.choice(("--bind", "--ro-bind", "--dev-bind", "--bind-try", "--ro-bind-try", "--dev-bind-try", "--tmpfs",
                       "--remount-ro", "--dir", "null", "moved"))
    if kind == "null":
        return ["--ro-bind", "/dev/null", path]
    if kind == "moved":
        return ["--bind", path, f"{place.tree}/e/f"]
    return [kind, path] if kind in ("--tmpfs", "--remount-ro", "--dir") else [kind, path, path]


def wider(place: lib_bwrap.Place, ours: dict, real: dict) -> list[str]:
    """What ours lets be done with an object and the real one does not, by any of its names."""
    found = []
    for path, (letters, names) in ours.items():
        real_letters, real_names = (one | other for one, other in zip(real[path], real[place.other_name(path)]))
        if letters - real_letters or names - real_names:
            found.append(f"{path}: {sorted(letters - real_letters)} {sorted(names - real_names)}")
    return found


def compare(t: Tap, mode: str) -> None:
    start = seed.choose()
    rng = random.Random(start)
    kinds = {"same": 0, "stronger": 0, "error": 0, "both refuse": 0}
    bad = []
    with lib_bwrap.Place() as place:
        for _ in range(ROUNDS[mode]):
            base = BASES[rng.choice(list(BASES))]
            options = sum((mount(rng, place) for _ in range(rng.randint(0, 6))), [])
            ours = place.ask(lib_bwrap.OURS, options, base)
            real = place.ask(lib_bwrap.REAL, options, base)
            if isinstance(ours, str):
                kinds["both refuse" if isinstance(real, str) else "error"] += 1
                if not ours.startswith("bwrap: "):
                    bad.append(f"{options}: an error without a reason: {ours}")
            elif isinstance(real, str):
                # The real one cannot make what is not there; ours needs nothing to be made.
                kinds["same"] += 1
            else:
                more = wider(place, ours, real)
                kinds["same" if ours == real else "stronger"] += 1
                if more:
                    bad.append(f"{' '.join([*base, *options])}: {'; '.join(more)}")
    t.ok(not bad, f"random mounts: what ours grants, bubblewrap grants too ({kinds}, seed {start})", "\n".join(bad[:5]))
    t.ok(kinds["same"] > ROUNDS[mode] // 20, "control: often both grant exactly the same", kinds)
    t.ok(kinds["stronger"] and kinds["error"], "control: the others happen as well", kinds)


def main() -> int:
    """same.py [quick|all]"""
    t = Tap()
    compare(t, *sys.argv[1:2] or ["quick"])
    return t.done()


if __name__ == "__main__":
    sys.exit(main())
