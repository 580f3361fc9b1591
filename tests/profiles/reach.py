# SPDX-License-Identifier: Apache-2.0
"""profile diff: what the second of two random profiles newly reaches, against asking about every path of a small universe,
for every user; and the rest of its answer, row by row."""
import itertools
import json
import os
import random
import subprocess
import tempfile

import generate
from cli import kubefence
from corpus import KUBEFENCE

# As src/explain/reach.c has them: the answer must hold for each.
USERS = (("0", "/root", "/workspace", None), ("1000", "/home/user", "/home/user/workspace", "/var/tmp/own"), ("1000", None, None, None))
NAMES = ("a", "b", "new")  # no rule has "new"
OPS = ("read", "write", "exec", "connect")
GROUPS = ("deny_credentials", "deny_keychains_linux", "deny_browser_data_linux", "deny_shell_history", "deny_password_hashes", "deny_env_files",
          "deny_service_account")
KINDS = ("credentials", "writeExecute", "outside", "workspace")
STATUS = {"workspace": 10, "network": 11, "protections": 12, "outside": 13, "writeExecute": 14, "credentials": 15}


def below(path: str, top: str | None) -> bool:
    return bool(top) and (path == top or path.startswith(f"{top}/"))


def universe(home: str | None, workdir: str | None, tmpdir: str | None, secrets: list[str]) -> list[str]:
    tops = ["/a", "/b", "/new", "/srv", "/tmp", "/var/tmp", "/run", "/etc", "/proc", "/dev", "/usr", *(t for t in (home, workdir, tmpdir) if t)]
    tails = ["", *(f"/{x}" for x in NAMES), *(f"/{x}/{y}" for x, y in itertools.product(NAMES, NAMES))]
    out = {t + tail for t in tops for tail in tails} | {"/", "/home", "/root", "/home/other", "/home/other/new", "/.kubefence-other-volume/new"}
    out |= {f"{h}{s}{x}" for h in (home, "/root", "/home/other") if h for s in ("/.ssh", "/.aws", "/.config") for x in ("", "/new", "/a")}
    out |= {f"{s.replace('~', h, 1)}{x}" for s in secrets for h in ((home, "/root", "/home/other") if s.startswith("~") else ("",)) if h is not None
            for x in ("", "/new")}
    return sorted(out | {"/etc/shadow", "/etc/shadow/new", "/run/secrets", "/run/secrets/new", "/var/run/new", "/var/run/secrets/new", "/etc/hosts", "/dev/shm/new"})


def paths(r: random.Random) -> str:
    return r.choice(("/a", "/a/b", "/a/b/a", "/b", "/srv/a", "/srv/a/b", "/tmp/a", "/run/a", "~", "~/a", "~/a/b", "~/.ssh", "~/.ssh/a", "~/.config", "~/.aws",
                     "$WORKDIR", "$WORKDIR/a", "$WORKDIR/a/b", "$TMPDIR", "/etc/a", "/etc/shadow", "/run/secrets", "/usr/a", "/dev/shm", "/proc/a"))


def profile(r: random.Random) -> dict:
    fs = {"grant": [{"path": paths(r), "access": r.choice(("r", "rx", "rw", "rwx", "w"))} for _ in range(r.randrange(4))],
          "deny": [paths(r) for _ in range(r.randrange(3))],
          "readonly": [paths(r) + r.choice(("", "/")) for _ in range(r.randrange(2))],
          "image": r.random() < 0.3, "homes": r.random() < 0.2, "volumes": r.random() < 0.2}
    return {"groups": {"base": False, "include": ["deny_credentials"] if r.random() < 0.5 else []}, "filesystem": fs,
            "workdir": {"access": r.choice(("none", "read", "readwrite"))}}


def mutate(r: random.Random, p: dict) -> dict:
    """A neighbour: bots look at small changes."""
    q = json.loads(json.dumps(p))
    key = r.choice(("grant", "deny", "readonly", "image", "homes", "volumes", "workdir"))
    if key == "workdir":
        q["workdir"]["access"] = r.choice(("none", "read", "readwrite"))
    elif isinstance(q["filesystem"][key], bool):
        q["filesystem"][key] = not q["filesystem"][key]
    elif q["filesystem"][key] and r.random() < 0.5:
        q["filesystem"][key].pop(r.randrange(len(q["filesystem"][key])))
    else:
        q["filesystem"][key].append(profile(r)["filesystem"]["grant"][:1] or {"path": paths(r), "access": "rw"} if key == "grant" else paths(r))
        if key == "grant" and isinstance(q["filesystem"][key][-1], list):
            q["filesystem"][key][-1] = q["filesystem"][key][-1][0]
    return q


def ask(path: str, user: tuple, where: list[str]) -> dict[str, set]:
    uid, home, workdir, tmpdir = user
    words = ["-u", uid, "--abi", "10", "-m", "/.kubefence-other-volume", "-o", "json"]
    for name, value in (("--home", home), ("-w", workdir), ("--tmpdir", tmpdir)):
        words += [name, value] if value else []
    for op in OPS:
        words += ["--op", op]
    p = subprocess.run([KUBEFENCE, "explain", path, *words, *itertools.chain(*(("-p", x) for x in where))], capture_output=True, text=True)
    out: dict[str, set] = {x: set() for x in where}
    for a in json.loads(p.stdout)["answers"]:
        if a["allowed"]:
            out[a["path"]].add(a["op"])
    return out


def denials(path: str) -> list[str]:
    return [line.split(" ", 2)[2] for line in kubefence("profile", "compile", path)[1].splitlines() if line.startswith("fs deny ")]


def expected(d: str, secrets: list[str]) -> set[str]:
    """The kinds of what b.json reaches and a.json does not, by asking about every path."""
    found = set()
    own = denials(f"{d}/a.json")
    for user in USERS:
        _, home, workdir, tmpdir = user
        where = universe(home, workdir, tmpdir, secrets)
        a, b = ask(f"{d}/a.json", user, where), ask(f"{d}/b.json", user, where)
        homes = [h for h in (home, "/root", "/home/other") if h]
        denied = {e for s in (*secrets, *own) for e in ([s.replace("~", h, 1) for h in homes] if s.startswith("~") else
                  [s.replace("$WORKDIR", workdir or "//", 1).replace("$TMPDIR", tmpdir or "//", 1)])}
        denied |= {x.replace("/var/run", "/run", 1) for x in denied if below(x, "/var/run")} | {x.replace("/run", "/var/run", 1) for x in denied if below(x, "/run")}
        for p in where:
            if not b[p] - a[p]:
                continue
            found.add("workspace" if any(below(p, t) for t in (workdir, tmpdir, "/tmp", "/var/tmp", "/dev/shm")) else "outside")
            if {"write", "exec"} <= b[p] and not {"write", "exec"} <= a[p]:
                found.add("writeExecute")
            if any(below(p, s) for s in denied):
                found.add("credentials")
    return found


def against_brute_force(tap, d: str, rounds: int, seed: int) -> None:
    r = random.Random(seed)
    generate.write(f"{d}/s.json", {"groups": {"base": False, "include": list(GROUPS)}})
    secrets = denials(f"{d}/s.json")
    wrong, seen, done = [], {k: [0, 0] for k in KINDS}, 0
    while done < rounds:
        p = profile(r)
        q = mutate(r, p) if r.random() < 0.7 else profile(r)
        generate.write(f"{d}/a.json", p)
        generate.write(f"{d}/b.json", q)
        if any(kubefence("profile", "compile", f"{d}/{x}.json")[0] for x in "ab"):
            continue
        done += 1
        status, out, err = kubefence("profile", "diff", f"{d}/a.json", f"{d}/b.json", "-o", "json")
        want = expected(d, secrets)
        said = json.loads(out)
        got = {k for k in KINDS if said["reaches"][k]}
        for k in KINDS:
            seen[k][k in want] += 1
        worst = max((STATUS[k] for k, v in said["reaches"].items() if v), default=3 if said["removed"] or said["added"] else 0)
        if got != want or status != worst:
            wrong.append(f"got {sorted(got)}, status {status}; want {sorted(want)}\n{p}\n{q}\n{out}{err}")
    tap.ok(not wrong, f"profile diff: {rounds} pairs reach what asking about every path finds (seed {seed})", "\n".join(wrong[:3]))
    tap.ok(all(min(v) for v in seen.values()) or rounds < 40, "control: each kind is found in some and not in others", seen)


ROWS = (  # the second profile adds to the first, the kind, an example
    ({}, {}, None, 0),
    ({}, {"filesystem": {"deny": ["/srv"]}}, None, 3),
    ({"network": {"block": True}}, {"network": {"block": True, "connect_port": [443]}}, ("network", "connect 443"), 11),
    ({"network": {"connect_port": [443]}}, {"network": {"connect_port": [443, 8443]}}, ("network", "connect 8443"), 11),
    ({"network": {"connect_port_range": [[8000, 9000]]}}, {"network": {"connect_port": [8080]}}, None, 3),
    ({"network": {"connect_port": [8080]}}, {"network": {"connect_port_range": [[8000, 9000]]}}, ("network", "connect 8000-8079"), 11),
    ({"network": {"block": True}}, {}, ("network", "every host"), 11),
    ({"network": {"allow_domain": ["*.example.org"], "enforced_by": "network-policy"}},
     {"network": {"allow_domain": ["a.example.org"], "enforced_by": "network-policy"}}, None, 3),
    ({"network": {"allow_domain": ["a.example.org"], "enforced_by": "network-policy"}},
     {"network": {"allow_domain": ["a.example.org", "b.example.org"], "enforced_by": "network-policy"}}, ("network", "b.example.org"), 11),
    ({"network": {"allow_domain": ["a.example.org"], "enforced_by": "network-policy"}}, {}, ("network", "every host"), 11),
    ({"security": {"signal_mode": "isolated"}}, {"security": {"signal_mode": "allow_all"}}, ("protections", "scope signal"), 12),
    ({"security": {"memfd_exec": False}}, {}, ("protections", "memory files"), 12),
    ({"seccomp": "restricted"}, {"seccomp": "agent"}, ("protections", "seccomp agent"), 12),
    ({"seccomp": "runtime-default"}, {"seccomp": "restricted"}, None, 3),
    ({"rlimits": {"nofile": 100}}, {"rlimits": {"nofile": 200}}, ("protections", "rlimit nofile"), 12),
    ({"rlimits": {"nofile": 200}}, {"rlimits": {"nofile": 100}}, None, 3),
    ({"environment": {"deny_vars": ["TOKEN"]}}, {}, ("protections", "environment TOKEN"), 12),
    ({"environment": {"allow_vars": ["A"]}}, {"environment": {"allow_vars": ["A", "B"]}}, ("protections", "environment B"), 12),
    ({"environment": {"allow_vars": ["A"]}}, {}, ("protections", "the whole environment"), 12),
    ({"filesystem": {"devices": False}}, {"filesystem": {"devices": True}}, ("protections", "devices"), 12),
)


def rows(tap, d: str) -> None:
    for a, b, kind, status in ROWS:
        for name, p in (("a", a), ("b", b)):
            generate.write(f"{d}/{name}.json", {**p, "groups": {"base": False}})
        got, out, err = kubefence("profile", "diff", f"{d}/a.json", f"{d}/b.json", "-o", "json")
        said = {k: v for k, v in json.loads(out)["reaches"].items() if v} if out else {}
        ok = not said if not kind else list(said) == [kind[0]] and any(kind[1] in x for x in said[kind[0]])
        tap.ok(got == status and ok, f"profile diff: {a} -> {b}: {kind[1] if kind else 'nothing more'}, status {status}", f"{got} {out}{err}")
        if kind:
            back = kubefence("profile", "diff", f"{d}/b.json", f"{d}/a.json")
            tap.ok(back[0] == 3 or "allow_domain" in str(a), f"... and back: nothing more ({status})", back)


def run(tap, rounds: int, seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="kf-reach.") as d:
        tap.case("reach rows", rows, tap, d)
        tap.case("reach", against_brute_force, tap, d, rounds, seed)
