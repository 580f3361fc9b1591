# SPDX-License-Identifier: Apache-2.0
"""Kata's drop-in rules once more, in Python: the judge of 'kubefence kata config'."""
import random
import tomllib

from runtimes import load, plain
from trees import KataNode

CASES = {
    "no drop-ins": ("a = 1\n[t]\nb = 'x'\n", {}),
    "a value replaces": ("a = 1\n[t]\nb = 'x'\n", {"10-x": "a = 2\n"}),
    "tables merge": ("[t]\nb = 'x'\n[t.u]\nc = 1\n", {"10-x": "[t.u]\nd = 2\n", "20-y": "[t]\nb = 'y'\n"}),
    "arrays are replaced whole": ("[t]\nl = ['a', 'b']\n", {"10-x": "[t]\nl = []\n"}),
    "the last name wins": ("v = 0\n", {"50-kubefence.toml": "v = 1\n", "50-user-overrides.toml": "v = 2\n"}),
    "bytes, not numbers, order": ("v = 0\n", {"9-nine": "v = 9\n", "10-ten": "v = 10\n", "B": "v = 1\n", "a": "v = 2\n"}),
    "any name counts": ("v = 0\n", {"readme.txt": "v = 3\n"}),
    "also one that begins with a dot": ("v = 0\n", {".hidden": "v = 3\n", "-dash": "v = 4\n"}),
    "a table becomes a value": ("[t]\na = 1\nb = 2\n", {"10-x": "t = 5\n"}),
    "a value becomes a table": ("t = 5\n", {"10-x": "[t]\na = 1\n"}),
    "and back": ("t = 5\n", {"10-x": "[t]\na = 1\n", "20-y": "t = 'v'\n", "30-z": "[t]\nz = 1\n"}),
    "inline tables are tables": ("[t]\nu = {a = 1, b = 2}\n", {"10-x": "t.u.b = 3\n"}),
    "keys that need quotes": ("['a.b']\n\"c d\" = 1\n", {"10-x": "['a.b']\n\"c d\" = \"\\u00e9\\n\"\n"}),
}


def generated(rng: random.Random) -> tuple[str, dict]:
    """A small universe of keys, so that files meet."""
    def doc() -> str:
        lines = []
        for table in rng.sample(["", "t", "t.u", "t.u.v", "w"], rng.randint(1, 4)):
            prefix = f"{table}." if table else ""
            for key in rng.sample("abc", rng.randint(1, 3)):
                value = rng.choice(["1", "true", "'s'", "[1, 2]", "2.5", '"q\\"x"'])
                lines.append(f"{prefix}{key} = {value}")
        return "\n".join(dict.fromkeys(lines)) + "\n"
    return doc(), {f"{rng.choice('0159az')}{rng.choice('09xy')}": doc() for _ in range(rng.randint(0, 5))}


def run(t, tools, everything: bool) -> None:
    rng = random.Random(17)
    cases = list(CASES.items()) + [(f"generated {i}", generated(rng)) for i in range(400 if everything else 60)]
    wrong = []
    for name, (base, dropins) in cases:
        with KataNode() as n:
            n.write("/k/c.toml", base)
            for f, text in dropins.items():
                n.write(f"/k/config.d/{f}", text)
            code, said, err = n.kata("config", "--config", "/k/c.toml")
            want = load(n.path("/k/c.toml"), False).values
            got = tomllib.loads(said["text"]) if code == 0 else err
            if code or got != plain(want):
                wrong.append((name, base, dropins, got, want))
            elif not name.startswith("generated"):
                t.ok(True, f"merge: {name}")
    t.equal(wrong, [], f"merge: {len(cases)} sets of drop-ins come out as in Python")
    with KataNode() as n:
        n.write("/k/c.toml", "a = 1\n")
        n.write("/k/config.d/10-broken", "a = \n")
        code, _, err = n.kata("config", "--config", "/k/c.toml")
        t.ok(code == 1 and "10-broken:1" in err, "merge: a drop-in that does not parse is named", err)
