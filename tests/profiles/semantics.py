# SPDX-License-Identifier: Apache-2.0
"""explain against the kernel: random trees and profiles, each path asked both."""
import json
import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

import generate
import kubelet

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("KUBEFENCE_BIN") or f"{ROOT}/out/bin"
OPS = {"r": "read", "w": "write", "x": "exec"}
# What a kubelet mounts into every container, to be written by all, as the others here: one file for the pod's containers.
MOUNTED = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log")
# And the service account, which plugin and guard do not let the runtime mount where it is denied.
TOKEN = "/run/secrets/kubernetes.io/serviceaccount"


def build_tree(r: random.Random, root: str) -> list[tuple[str, str]]:
    """A root directory with files everywhere; the questions: operation and path."""
    paths = []
    for d in generate.DIRS:
        os.makedirs(root + d, exist_ok=True)
        for i in range(3):
            path = f"{d}/f{i}"
            with open(root + path, "w", encoding="ascii") as f:
                f.write("")
            os.chmod(root + path, 0o777)
            paths.append(path)
    for link, target in {"/link": "data", "/lib": "usr/lib", "/var/run": "../run", "/srv/up": "/opt",
                         "/work/rel": "../data/a", "/etc/f9": "/opt/app/f0"}.items():
        os.makedirs(os.path.dirname(root + link), exist_ok=True)
        os.symlink(target, root + link)
    paths += ["/link/a/f0", "/link/a/b/f1", "/lib/x/f0", "/var/run/app/f0", "/var/run/secrets/k8s/f0", "/srv/up/app/f1",
              "/work/rel/f1", "/work/rel/b/f2", "/etc/f9"]
    for d in ("proc", "dev", "sys"):
        os.makedirs(f"{root}/{d}", exist_ok=True)
    for path in MOUNTED:
        with open(root + path, "w", encoding="ascii") as f:
            f.write("")
    paths += [*MOUNTED, f"{TOKEN}/token", f"/var{TOKEN}/token"]
    return [(op, p) for p in paths for op in OPS] + [("r", d) for d in generate.DIRS]  # directories: listing


def ask_kernel(root: str, policy: str, questions: list[tuple[str, str]], uid: int, home: str, tmpdir: str) -> tuple[str, str]:
    fd = os.open(policy, os.O_RDONLY)

    def enter() -> None:
        os.chroot(root)
        os.chdir("/work")
        if uid:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)

    # The launcher and the probe come in by descriptor, as the guard hands them over.
    try:
        p = subprocess.run(
            ["/nono-test/nono", "wrap", "--policy-fd", str(fd), "--profile", "p", "--", "/nono-test/probe"],
            input="".join(f"{op} {p}\n" for op, p in questions), capture_output=True, text=True, pass_fds=[fd], preexec_fn=enter,
            env={"HOME": home, "TMPDIR": tmpdir, "PATH": "/bin"},
        )
    finally:
        os.close(fd)
    return p.stdout.strip(), p.stderr


def ask_explain(root: str, profile: str, questions: list[tuple[str, str]], uid: int, home: str, tmpdir: str) -> str:
    mounts = [x for path in (*MOUNTED, f"/var{TOKEN}:ro") for x in ("--mount", path)]
    asked = [x for p in dict.fromkeys(p for _, p in questions) for x in ("--path", p)]
    p = subprocess.run([f"{BIN}/kubefence", "explain", profile, "--rootfs", root, "-o", "json", "--uid", str(uid), "--home", home,
                        "--workdir", "/work", "--tmpdir", tmpdir, *mounts, *asked], capture_output=True, text=True)
    answers = {(a["op"], a["path"]): a for a in json.loads(p.stdout)["answers"]}
    text = ""
    for op, path in questions:
        a = answers[OPS[op], path]
        # The names in a denied directory: hidden by the guard's mask, not by the launcher alone.
        masked = not a["allowed"] and a.get("rule", "").startswith("fs deny") and path in generate.DIRS
        text += "-" if masked else str(int(a["allowed"]))
    return text


def token_is_mounted(policy: str) -> bool:
    denied = [line.split(" ", 2)[2] for line in policy.splitlines() if line.startswith("fs deny /")]
    return not any(f"/var{TOKEN}/".startswith(f"{d}/") or f"{TOKEN}/".startswith(f"{d}/") for d in denied)


def one_world(r: random.Random, base: str, probe: str, profiles: int) -> tuple[int, int, list[str]]:
    root = f"{base}/root"
    os.makedirs(root)
    questions = build_tree(r, root)
    os.makedirs(f"{root}/nono-test")
    shutil.copy(f"{BIN}/nono", f"{root}/nono-test/nono")
    shutil.copy(probe, f"{root}/nono-test/probe")
    os.chmod(base, 0o755)
    for top, dirs, _ in os.walk(root):
        for d in dirs:
            os.chmod(f"{top}/{d}", 0o777)
    subprocess.run(["mount", "-t", "proc", "proc", f"{root}/proc"], check=True)
    pod = kubelet.files(Path(base))
    for path in MOUNTED:
        source = pod / os.path.basename(path)
        source.write_text("")
        source.chmod(0o777)
        subprocess.run(["mount", "--bind", source, root + path], check=True)
    cases = yes = 0
    wrong = []
    try:
        for _ in range(profiles):
            uid, home = r.choice([(0, "/root"), (1000, "/home/dev"), (1000, "/"), (0, "/home/dev")])
            tmpdir = r.choice(["/tmp/t", "/usr", "/work/src"])
            p = generate.profile(r)
            # The probe must be found and started; and no network is asked for here.
            p["filesystem"].setdefault("read", []).append("/nono-test")
            p["filesystem"].setdefault("read", []).append("/proc")
            p.pop("rlimits", None)
            p.pop("environment", None)
            generate.write(f"{base}/p.json", p)
            compiled = subprocess.run([f"{BIN}/kubefence", "profile", "compile", f"{base}/p.json"], capture_output=True, text=True)
            if compiled.returncode:
                continue
            with open(f"{base}/policy", "w", encoding="utf-8") as f:
                f.write(compiled.stdout)
            mounted = token_is_mounted(compiled.stdout)
            if mounted:
                os.makedirs(root + TOKEN, exist_ok=True)
                subprocess.run(["mount", "-t", "tmpfs", "token", root + TOKEN], check=True)
                Path(f"{root}{TOKEN}/token").write_text("token", encoding="ascii")
                os.chmod(f"{root}{TOKEN}/token", 0o777)
                subprocess.run(["mount", "-o", "remount,ro", root + TOKEN], check=True)
            kernel, err = ask_kernel(root, f"{base}/policy", questions, uid, home, tmpdir)
            if mounted:
                subprocess.run(["umount", root + TOKEN], check=True)
            for d in (TOKEN, os.path.dirname(TOKEN)) if mounted else ():
                os.rmdir(root + d)
            explained = ask_explain(root, f"{base}/p.json", questions, uid, home, tmpdir)
            if len(kernel) != len(explained):
                wrong.append(f"{kernel!r} {err} for {json.dumps(p)}")
                continue
            for i, (k, e) in enumerate(zip(kernel, explained)):
                if e == "-":
                    continue
                cases += 1
                yes += k == "1"
                if k != e:
                    op, path = questions[i]
                    wrong.append(f"{OPS[op]} {path}: kernel {k}, explain {e}; uid {uid} home {home} tmpdir {tmpdir}\n{json.dumps(p)}")
    finally:
        for path in ("/proc", *MOUNTED):
            subprocess.run(["umount", root + path], check=True)
    return cases, yes, wrong


def run(tap, worlds: int, profiles: int, seed: int) -> None:
    r = random.Random(seed)
    cases = yes = 0
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="kf-profiles.") as d:
        os.chmod(d, 0o755)
        probe = f"{d}/probe"
        subprocess.run(["gcc", "-O1", "-static", "-o", probe, f"{os.path.dirname(os.path.abspath(__file__))}/probe.c"], check=True)
        for w in range(worlds):
            c, y, bad = one_world(r, f"{d}/w{w}", probe, profiles)
            cases, yes, wrong = cases + c, yes + y, wrong + bad
    tap.ok(not wrong, f"explain and the kernel agree on {cases} random questions, seed {seed}", f"{len(wrong)} disagree\n" + "\n".join(wrong[:5]))
    tap.ok(cases > 2000 and 0.05 * cases < yes < 0.95 * cases, "the random questions are of use: thousands, some allowed, some not",
           f"{cases} cases, {yes} allowed")
