# SPDX-License-Identifier: Apache-2.0
"""Laws of the profile language, on random profiles."""
import os
import random
import subprocess
import tempfile

import generate

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("KUBEFENCE_BIN") or f"{ROOT}/out/bin"
KUBEFENCE = f"{BIN}/kubefence"


def kubefence(*args: str) -> tuple[int, str]:
    p = subprocess.run([KUBEFENCE, *args], capture_output=True, text=True)
    return p.returncode, p.stdout


def flat(path: str) -> str | None:
    """Flat text but for the name and the sum over it; None if it does not compile."""
    status, out = kubefence("profile", "compile", path)
    return None if status else "\n".join(l for l in out.splitlines() if not l.startswith(("name ", "sum ")))


def compiling(r: random.Random, path: str) -> dict:
    while True:
        p = generate.profile(r)
        generate.write(path, p)
        if flat(path) is not None:
            return p


def run(tap, rounds: int, seed: int) -> None:
    r = random.Random(seed)
    bad = {"order of keys": [], "extends is associative": [], "compile(show(p)) = p": [], "a denial never widens": []}
    denied = refused = 0
    with tempfile.TemporaryDirectory() as d:
        for n in range(rounds):
            f = {x: f"{d}/{x}.json" for x in ("p", "q", "a", "b", "c", "ab", "bc", "l", "r", "shown")}
            p = compiling(r, f["p"])
            text = flat(f["p"])
            generate.write(f["q"], generate.shuffled(r, p))
            if flat(f["q"]) != text:
                bad["order of keys"].append(n)
            for comments in ((), ("-o", "json")):
                with open(f["shown"], "w", encoding="utf-8") as out:
                    out.write(kubefence("profile", "show", f["p"], *comments)[1])
                if flat(f["shown"]) != text:
                    bad["compile(show(p)) = p"].append(n)
            # Each one's own; together they may contradict, then both ways must.
            for x in "abc":
                generate.write(f[x], generate.profile(r))
            generate.write(f["ab"], {"extends": ["a", "b"]})
            generate.write(f["bc"], {"extends": ["b", "c"]})
            generate.write(f["l"], {"extends": ["ab", "c"]})
            generate.write(f["r"], {"extends": ["a", "bc"]})
            left, right = flat(f["l"]), flat(f["r"])
            refused += left is None
            if left != right:
                bad["extends is associative"].append(n)
            # The same with one more denial allows no more, whatever is asked.
            more = {**p, "filesystem": {**p["filesystem"]}}
            more["filesystem"]["deny"] = p["filesystem"].get("deny", []) + [r.choice(generate.DENIABLE)]
            generate.write(f["q"], more)
            if flat(f["q"]) is None:
                continue
            asked = [x for dir_ in generate.DIRS for x in ("--path", dir_, "--path", dir_ + "/f0")]
            world = ("--workdir", "/work", "--home", "/home/dev", "--uid", "1000", "--mount", "/srv")
            before = allowed(kubefence("explain", f["p"], *asked, *world)[1])
            after = allowed(kubefence("explain", f["q"], *asked, *world)[1])
            denied += len(before - after)
            if after - before:
                bad["a denial never widens"].append(n)
    for law, rounds_ in bad.items():
        tap.ok(not rounds_, f"{law} ({rounds} random profiles, seed {seed})", f"rounds {rounds_}")
    tap.ok(denied > 0 and 0 < refused < rounds, "the random profiles are of use: denials bite, some sums contradict, not all",
           f"{denied} answers changed, {refused} refused")


def allowed(text: str) -> set:
    return {l for l in text.splitlines() if l.endswith(": allowed") or ": allowed (" in l}
