# SPDX-License-Identifier: Apache-2.0
"""Beside nono itself: the same profile and the same tree, and what the kernel then lets a program do.

nono-cli is built from its crate, once a version, into the cache (minutes).  Both launchers start
the same probe in the same directories; each question has two answers.  Where these differ, DIFFERENT
names the reason, and docs/profiles.md has each reason in a table.
"""
import fcntl
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import corpus
import nono
import tools

VERSION = "0.81.0"
BIN = corpus.BIN
DOCS = f"{corpus.ROOT}/docs/profiles.md"
LOW = 43000  # ports that nobody uses here
ENV = {"GH_TOKEN": "1", "gh_token": "2", "AWS_SECRET_ACCESS_KEY": "3", "PLAIN": "4", "OLD": "5", "LD_DEBUG_OUTPUT": "/x", "NODE_OPTIONS": "--x", "LC_ALL": "C"}
FILES = ["home/.ssh/known_hosts", "home/.ssh/id_rsa", "home/.docker/config.json", "home/.docker/other", "home/.bashrc", "home/.nvm/x", "home/notes/f",
         "home/.cache/go-build/f", "work/f", "work/sub/f", "work/.env", "data/f", "data/in/f", "data/only", "out/f", "other/f", "tmp/f"]


def fs(**keys) -> dict:
    return {"filesystem": keys}


# Name: the profile ("@" is the tree, "read": the probe's directory is added) and twelve questions.
CASES = {
    "grants": (fs(read=["@/data"], allow=["@/work"], write=["@/out"]),
               "r @/data/f|w @/data/f|x @/data/f|n @/data/new|r @/work/f|w @/work/f|x @/work/f|n @/work/new|r @/out/f|w @/out/f|n @/out/new|r @/other/f"),
    "files": (fs(read_file=["@/data/only"], allow_file=["@/work/f"], write_file=["@/out/f"]),
              "r @/data/only|w @/data/only|r @/data/f|r @/work/f|w @/work/f|x @/work/f|r @/work/sub/f|n @/work/new|r @/out/f|w @/out/f|n @/out/new|r @/other/f"),
    "default": ({"extends": "default"},
                "r /etc/passwd|w /etc/passwd|r /etc/shadow|x @/other/f|r @/other/f|w @/other/f|r ~/notes/f|w ~/notes/f|r ~/.ssh/id_rsa|r ~/.bashrc|n @/tmp/new|r @/tmp/f"),
    "lifted file": ({"extends": "default", **fs(read_file=["~/.ssh/known_hosts"], bypass_protection=["~/.ssh/known_hosts"])},
                    "r ~/.ssh/known_hosts|w ~/.ssh/known_hosts|x ~/.ssh/known_hosts|r ~/.ssh/id_rsa|w ~/.ssh/id_rsa|n ~/.ssh/new|r ~/.docker/config.json|"
                    "w ~/.docker/config.json|n ~/.docker/new|r ~/.ssh/missing|n /etc/new|w /etc/passwd"),
    "lifted directory": (fs(read=["~/.docker"], bypass_protection=["~/.docker"]),
                         "r ~/.docker/config.json|w ~/.docker/config.json|x ~/.docker/config.json|r ~/.docker/other|w ~/.docker/other|n ~/.docker/new|r ~/.ssh/id_rsa|"
                         "w ~/.ssh/id_rsa|n ~/.ssh/new|r ~/notes/f|w ~/notes/f|r ~/.bashrc"),
    "lift without a grant": (fs(bypass_protection=["~/.docker"]),
                             "r ~/.docker/config.json|w ~/.docker/config.json|n ~/.docker/new|r ~/.docker/other|r ~/.ssh/id_rsa|w ~/.ssh/id_rsa|r ~/notes/f|w ~/notes/f|"
                             "r @/data/f|w @/data/f|r @/work/f|w @/work/f"),
    "read below allow": (fs(allow=["@/data"], read=["@/data/in"]),
                         "r @/data/f|w @/data/f|r @/data/in/f|w @/data/in/f|n @/data/in/new|n @/data/new|x @/data/in/f|x @/data/f|r @/other/f|w @/other/f|r @/work/f|w @/work/f"),
    "denied below a grant": (fs(allow=["@/work"], deny=["@/work/.env"]),
                             "r @/work/f|w @/work/f|x @/work/f|r @/work/.env|w @/work/.env|x @/work/.env|r @/work/sub/f|w @/work/sub/f|n @/work/sub/new|r @/data/f|r @/other/f|w @/other/f"),
    "blocked, with ports": ({"network": {"block": True, "open_port": [LOW], "open_port_range": [[LOW + 10, LOW + 12]]}},
                            "|".join(f"{op} {LOW + n}" for n in (0, 1, 9, 10, 12, 13) for op in "cb")),
    "ports": ({"network": {"connect_port": [LOW], "listen_port": [LOW + 1], "listen_port_range": [[LOW + 20, LOW + 22]]}},
              "|".join(f"{op} {LOW + n}" for n in (0, 1, 2, 20, 22, 23) for op in "cb")),
    "environment": ({"environment": {"deny_vars": ["*TOKEN*", "AWS_*_KEY"], "case_insensitive_vars": True, "set_vars": {"OLD": "$HOME/x", "NEW": "~/y"}}},
                    "e GH_TOKEN|e gh_token|e AWS_SECRET_ACCESS_KEY|e PLAIN=4|e OLD=~/x|e NEW=~/y|e LC_ALL=C|e LD_DEBUG_OUTPUT|e NODE_OPTIONS|e HOME=~|e PATH|e MISSING"),
    "groups and the working directory": ({"workdir": {"access": "read"}, "groups": {"include": ["node_runtime", "go_runtime_linux"]},
                                          "platform_overrides": {"linux": {"filesystem": {"allow": ["@/out"]}}, "macos": {"filesystem": {"allow": ["@/other"]}}}},
                                         "r @/work/f|w @/work/f|n @/work/new|x @/work/f|r ~/.nvm/x|w ~/.nvm/x|x ~/.nvm/x|w ~/.cache/go-build/f|n ~/.cache/go-build/new|"
                                         "w @/out/f|w @/other/f|r @/other/f"),
}
# Where the answers differ: the reason, as the table in the documentation calls it.
DIFFERENT = {
    ("default", "r /etc/shadow"): "image",
    ("default", "x @/other/f"): "image",
    ("default", "r @/other/f"): "image",
    ("default", "r @/tmp/f"): "image",
    ("default", "n @/tmp/new"): "TMPDIR",
    ("default", "r ~/notes/f"): "homes",
    ("default", "w ~/notes/f"): "homes",
    ("default", "r ~/.bashrc"): "homes",
    **{("denied below a grant", q): "deny below a grant" for q in CASES["denied below a grant"][1].split("|")},
    ("ports", f"b {LOW + 1}"): "listen_port",
    ("ports", f"b {LOW + 20}"): "listen_port",
    ("ports", f"b {LOW + 22}"): "listen_port",
    ("environment", "e LD_DEBUG_OUTPUT"): "stripped variables",
    ("environment", "e NODE_OPTIONS"): "stripped variables",
}


def build() -> Path:
    """nono and what its crate has in data/, in the cache."""
    out = tools.cache() / f"nono-cli-{VERSION}"
    if (out / "bin/nono").is_file() and (out / "data").is_dir():
        return out
    tools.cache().mkdir(parents=True, exist_ok=True)
    with open(tools.cache() / f".{out.name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (out / "bin/nono").is_file():
            return out
        print(f"# building nono-cli {VERSION} from its crate", flush=True)
        fresh = tools.cache() / f".{out.name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        # Its lock file names versions that not every registry has kept.
        subprocess.run(["cargo", "install", "--quiet", "nono-cli", "--version", f"={VERSION}", "--debug", "--no-default-features", "--root", str(fresh)],
                       check=True, env={**os.environ, "CARGO_PROFILE_DEV_DEBUG": "0"})
        home = os.environ.get("CARGO_HOME") or os.path.expanduser("~/.cargo")
        sources = glob.glob(f"{home}/registry/src/*/nono-cli-{VERSION}/data")
        shutil.copytree(sources[0], fresh / "data")
        shutil.rmtree(out, ignore_errors=True)
        fresh.rename(out)
    return out


def tree(root: str) -> None:
    for name in FILES:
        path = f"{root}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w", encoding="ascii").close()
        os.chmod(path, 0o777)
    os.makedirs(f"{root}/bin")
    subprocess.run(["gcc", "-O1", "-static", "-o", f"{root}/bin/probe", f"{corpus.HERE}/probe.c"], check=True)


def start(root: str, command: list, questions: list, fds: tuple = ()) -> str:
    """The answers, one character a question; "-" for all if it does not start."""
    env = {"HOME": f"{root}/home", "PATH": "/usr/bin:/bin", "TMPDIR": f"{root}/tmp", "NONO_NO_MIGRATE": "1", **ENV}
    text = "".join(q.replace("~", f"{root}/home").replace("@", root) + "\n" for q in questions)
    p = subprocess.run([*command, "--", f"{root}/bin/probe"], input=text, capture_output=True, text=True, cwd=f"{root}/work", env=env, pass_fds=fds)
    answers = p.stdout.strip()
    return answers if p.returncode == 0 and len(answers) == len(questions) else "-" * len(questions)


def theirs(root: str, questions: list, program: Path) -> str:
    return start(root, [str(program), "wrap", "-s", "--allow-cwd", "--profile", f"{root}/p.json"], questions)


def ours(root: str, questions: list) -> str:
    p = subprocess.run([corpus.KUBEFENCE, "profile", "compile", f"{root}/p.json"], capture_output=True, text=True)
    if p.returncode:
        return "-" * len(questions)
    with open(f"{root}/policy", "w", encoding="utf-8") as f:
        f.write(p.stdout)
    fd = os.open(f"{root}/policy", os.O_RDONLY)
    try:
        return start(root, [f"{BIN}/nono", "wrap", "-s", "--allow-cwd", "--policy-fd", str(fd), "--profile", "p"], questions, (fd,))
    finally:
        os.close(fd)


def ask(root: str, name: str, program: Path) -> list:
    """Each question with nono's answer and ours."""
    profile, text = CASES[name]
    profile = json.loads(json.dumps(profile).replace("@", root))
    profile.setdefault("filesystem", {}).setdefault("read", []).append(f"{root}/bin")
    with open(f"{root}/p.json", "w", encoding="utf-8") as f:
        json.dump({"meta": {"name": "p"}, **profile}, f)
    questions = text.split("|")
    return list(zip(questions, theirs(root, questions, program), ours(root, questions)))


def answers(tap, program: Path) -> None:
    with open(DOCS, encoding="utf-8") as f:
        documented = set(re.findall(r"^\| \*\*([^*]+)\*\* \|", f.read(), re.MULTILINE))
    asked = differ = 0
    used = set()
    # Not below /tmp, which profiles grant; in /srv, as far from the system as can be.
    with tempfile.TemporaryDirectory(prefix="kf-beside.", dir="/srv") as root:
        os.chmod(root, 0o755)
        tree(root)
        for name in CASES:
            wrong = []
            for question, his, mine in ask(root, name, program):
                asked += 1
                reason = DIFFERENT.get((name, question))
                differ += his != mine
                if his != mine and reason:
                    used.add(reason)
                if his != mine and reason not in documented:
                    wrong.append(f"{question}: nono {his}, ours {mine}, and no documented reason ({reason})")
                if his == mine and (name, question) in DIFFERENT:
                    wrong.append(f"{question}: both say {his}, but a difference is expected")
            tap.ok(not wrong, f"beside nono {VERSION}: {name}", "\n".join(wrong))
    tap.ok(asked == 144 and used == set(DIFFERENT.values()) and used <= documented,
           f"beside nono {VERSION}: {asked} questions, {differ} answers differ, each for a documented reason",
           f"{asked} asked; never used: {set(DIFFERENT.values()) - used}; not documented: {used - documented}")


def crate(tap, data: Path) -> None:
    """What the crate itself has: its built-in profiles, and the profiles of its guide."""
    with open(data / "policy.json", encoding="utf-8") as f:
        nono.builtins(tap, json.load(f)["profiles"], "from its crate")
    guide = (data / "profile-authoring-guide.md").read_text()
    blocks = []
    for text in re.findall(r"^```jsonc?\n(.*?)^```", guide, re.MULTILINE | re.DOTALL):
        try:
            value = json.loads(corpus.strip(text))
        except ValueError:
            continue
        # Other things are shown as well: a credential, what a provider answers.
        if isinstance(value, dict) and set(value) <= {k.split(".")[0] for k in corpus.schema_keys()}:
            blocks.append((text, None))
    nono.all_of(tap, blocks, "the profiles of its crate's guide")
    tap.ok(len(blocks) >= 30, "the guide has profiles", len(blocks))


def run(tap) -> None:
    if not shutil.which("cargo"):
        return tap.skip(f"beside nono {VERSION}", "no cargo")
    out = build()
    answers(tap, out / "bin/nono")
    crate(tap, out / "data")
