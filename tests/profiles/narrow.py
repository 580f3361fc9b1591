# SPDX-License-Identifier: Apache-2.0
"""What a profile grants narrowly, asked of the kernel from inside: exactly that, and nothing beside it.

Each case is a profile and questions with their answers; the same questions are asked without the
sandbox, where the answer is yes to all.  The launcher runs alone here, without the guard's mounts.
"""
import json
import os
import shutil
import subprocess
import tempfile

import corpus

BIN = corpus.BIN
FILES = [
    ".ssh/known_hosts", ".ssh/id_rsa", ".ssh/config", ".docker/config.json", ".docker/other", ".aws/config", ".aws/credentials",
    ".aws/sso/cache/t", ".config/gcloud/adc.json", ".config/gcloud/credentials.db", ".config/tool/f", ".gnupg/pubring.kbx",
    ".kube/..now/config", ".kube/..now/cache", ".npmrc", "notes/f", "kept/f", "work/f",
]
ENV = {"GH_TOKEN": "1", "gh_token": "2", "AWS_SECRET_ACCESS_KEY": "3", "PLAIN": "4", "OLD": "5"}
# Ports that nobody uses here; whether somebody does changes no answer.
LOW = 43000


def profile(extends: str = "default", **keys) -> dict:
    return {"extends": extends, **keys}


def lifted(paths: list, lift: list | None = None, key: str = "read", **more) -> dict:
    return profile(filesystem={key: paths, "bypass_protection": lift or paths, **more})


# What it shows: (the profile, what is allowed, what is not).
CASES = {
    "a file below a denied directory is exactly that file": (
        lifted(["~/.ssh/known_hosts"], key="read_file"), "r ~/.ssh/known_hosts|w ~/notes/f|n ~/work/new|r ~/.config/tool/f",
        "w ~/.ssh/known_hosts|r ~/.ssh/id_rsa|w ~/.ssh/id_rsa|r ~/.ssh/config|n ~/.ssh/new|r ~/.aws/credentials|r ~/.docker/config.json"),
    "also where the directory as a whole is lifted": (
        lifted(["~/.ssh/known_hosts"], ["~/.ssh"]), "r ~/.ssh/known_hosts", "r ~/.ssh/id_rsa|w ~/.ssh/known_hosts|n ~/.ssh/new"),
    "and where the home has another name": (
        lifted(["/root/.ssh/known_hosts"], ["$HOME/.ssh/known_hosts"]), "r ~/.ssh/known_hosts", "r ~/.ssh/id_rsa|w ~/.ssh/known_hosts"),
    "two files, one to write": (
        profile(filesystem={"read": ["~/.ssh/config"], "allow_file": ["~/.ssh/known_hosts"], "bypass_protection": ["~/.ssh/config", "~/.ssh/known_hosts"]}),
        "r ~/.ssh/known_hosts|w ~/.ssh/known_hosts|r ~/.ssh/config", "w ~/.ssh/config|r ~/.ssh/id_rsa|n ~/.ssh/new"),
    "Docker's logins": (
        lifted(["~/.docker/config.json"]), "r ~/.docker/config.json", "w ~/.docker/config.json|r ~/.docker/other|n ~/.docker/new"),
    "all of Docker's directory, to read": (
        lifted(["~/.docker"]), "r ~/.docker/config.json|r ~/.docker/other|w ~/notes/f", "w ~/.docker/config.json|w ~/.docker/other|n ~/.docker/new|r ~/.ssh/id_rsa"),
    "all of it, to write": (
        lifted(["~/.docker"], key="allow"), "r ~/.docker/config.json|w ~/.docker/config.json|n ~/.docker/new|n ~/work/new", "r ~/.ssh/id_rsa"),
    "to write only": (
        lifted(["~/.docker"], key="write"), "w ~/.docker/config.json|n ~/.docker/new", "r ~/.docker/config.json|r ~/.docker/other"),
    "gcloud's credentials, by a variable": (
        lifted(["$XDG_CONFIG_HOME/gcloud/adc.json"]), "r ~/.config/gcloud/adc.json|w ~/.config/tool/f",
        "w ~/.config/gcloud/adc.json|r ~/.config/gcloud/credentials.db|n ~/.config/gcloud/new"),
    "AWS: settings to read, a cache to write, no keys": (
        profile(filesystem={"read_file": ["~/.aws/config"], "allow": ["~/.aws/sso/cache"], "bypass_protection": ["~/.aws"]}),
        "r ~/.aws/config|r ~/.aws/sso/cache/t|w ~/.aws/sso/cache/t|n ~/.aws/sso/cache/new", "w ~/.aws/config|r ~/.aws/credentials|n ~/.aws/new|n ~/.aws/sso/new"),
    "a file of a Secret's volume, which is a symlink there": (
        lifted(["~/.kube/config"]), "r ~/.kube/config|r ~/.kube/..now/config", "w ~/.kube/config|r ~/.kube/..now/cache"),
    "a symlink out of the denied directory opens nothing": (
        lifted(["~/.kube/out"], ["~/.kube"]), "r ~/notes/f", "r ~/.kube/out|r ~/.ssh/id_rsa"),
    "with exactly the access that is said": (
        profile(filesystem={"grant": [{"path": "~/.aws/config", "access": "r"}], "bypass_protection": ["~/.aws/config"]}),
        "r ~/.aws/config", "x ~/.aws/config|w ~/.aws/config"),
    "one secret of the platform's, by either name": (
        lifted(["/run/secrets/db"]), "r /run/secrets/db|r /var/run/secrets/db", "r /run/secrets/kubernetes.io/serviceaccount/token|w /run/secrets/db"),
    "no home at all: only what is named": (
        {"filesystem": {"read": ["/nono-test", "~/.ssh/known_hosts"], "bypass_protection": ["~/.ssh/known_hosts"]}},
        "r ~/.ssh/known_hosts", "w ~/.ssh/known_hosts|r ~/.ssh/id_rsa|r ~/notes/f|n ~/work/new"),
    "a volume that is named to be read is read": (
        profile(filesystem={"read": ["/data"]}), "r /data/f|x /data/f", "w /data/f|n /data/new"),
    "a volume with the access that is said": (
        profile(filesystem={"grant": [{"path": "/data", "access": "r"}]}), "r /data/f", "w /data/f|n /data/new"),
    "a volume that is not named is used as it is mounted": (
        profile(), "r /data/f|w /data/f|x /data/f|n /data/new", "r ~/.ssh/id_rsa"),
    "reading below writing is writing, which is warned of": (
        profile(filesystem={"read": ["~/notes"]}), "r ~/notes/f|w ~/notes/f", "r ~/.ssh/id_rsa"),
    "and is not where it is kept": (
        profile(filesystem={"read": ["~/kept"], "readonly": ["~/kept/"]}), "r ~/kept/f|w ~/notes/f", "w ~/kept/f|n ~/kept/new"),
    "strict stays closed": (
        profile("strict", network={"block": False}), "r /data/f", f"c {LOW}|b {LOW}|w ~/notes/f"),
    "ports of a blocked network": (
        profile("strict", network={"connect_port": [LOW], "listen_port_range": [[LOW + 5, LOW + 7]]}),
        f"c {LOW}|b {LOW + 5}|b {LOW + 6}|b {LOW + 7}", f"c {LOW + 1}|c {LOW + 5}|b {LOW + 4}|b {LOW + 8}|b {LOW}"),
    "ranges of ports": (
        profile(network={"open_port_range": [[LOW, LOW + 10], [LOW + 5, LOW + 20]], "connect_port_range": [[LOW + 30, 65535]]}),
        f"c {LOW}|b {LOW}|c {LOW + 15}|b {LOW + 20}|c {LOW + 30}|c 65535", f"c {LOW - 1}|b {LOW + 21}|c {LOW + 29}|b {LOW + 30}|b 65535"),
    "all ports but one": (
        profile(network={"connect_port_range": [[1, LOW - 1], [LOW + 1, 65535]]}), f"c 1|c {LOW - 1}|c {LOW + 1}|c 65535|b {LOW}", f"c {LOW}"),
    "variables by pattern, whatever their case": (
        profile(environment={"deny_vars": ["*TOKEN*", "AWS_*_KEY"], "case_insensitive_vars": True}),
        "e PLAIN=4|e OLD=5", "e GH_TOKEN|e gh_token|e AWS_SECRET_ACCESS_KEY"),
    "variables by pattern, in their case": (
        profile(environment={"deny_vars": ["*TOKEN*"]}), "e gh_token=2|e AWS_SECRET_ACCESS_KEY=3", "e GH_TOKEN"),
    "variables that are kept": (
        profile(environment={"allow_vars": ["HOME", "PL*N", "OLD"], "set_vars": {"OLD": "$HOME/x"}}), "e PLAIN=4|e OLD=/root/x|e HOME=/root", "e GH_TOKEN|e PATH"),
    "values that are paths": (
        profile(environment={"set_vars": {"A": "~/a", "B": "$XDG_CACHE_HOME", "C": "$5", "OLD": "$XDG_RUNTIME_DIR/x"}}),
        "e A=/root/a|e B=/root/.cache|e C=$5", "e OLD"),
}


# Options of the command line, over a profile: what may be reached then.
OPTIONS = {
    "--open-port": ("default", ["--open-port", str(LOW)], f"c {LOW}|b {LOW}", f"c {LOW + 1}|b {LOW + 1}"),
    "--allow-connect-port": ("default", ["--allow-connect-port", str(LOW)], f"c {LOW}|b {LOW}", f"c {LOW + 1}"),
    "--block-net": ("default", ["--block-net"], "r /data/f", f"c {LOW}|b {LOW}"),
    "--block-net, whatever ports the profile opens": ("ports", ["--block-net"], "r /data/f", f"c {LOW + 5}|b {LOW + 5}"),
    "--block-net with ports": ("ports", ["--block-net", "--open-port", str(LOW), "--allow-connect-port", str(LOW + 1)],
                               f"c {LOW}|b {LOW}|c {LOW + 1}", f"b {LOW + 1}|c {LOW + 5}|b {LOW + 5}"),
    "--open-port over ports of the profile": ("ports", ["--open-port", str(LOW)], f"c {LOW}|b {LOW}|c {LOW + 5}|b {LOW + 5}", f"c {LOW + 1}|b {LOW + 1}"),
    "what nono takes and we need not do": ("ports", ["--allow-cwd", "-vv", "--no-audit", "--no-diagnostics", "-s"], f"c {LOW + 5}", f"c {LOW}"),
}


def build(root: str) -> None:
    for name in FILES:
        path = f"{root}/root/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "w", encoding="ascii").close()
        os.chmod(path, 0o777)
    os.symlink("..now/config", f"{root}/root/.kube/config")
    os.symlink("../.ssh/id_rsa", f"{root}/root/.kube/out")
    for path in ("/data/f", "/run/secrets/db", "/run/secrets/kubernetes.io/serviceaccount/token"):
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        open(root + path, "w", encoding="ascii").close()
        os.chmod(root + path, 0o777)
    os.makedirs(f"{root}/var")
    os.symlink("../run", f"{root}/var/run")
    for d in ("proc", "dev", "sys", "tmp", "usr/bin", "etc", "nono-test"):
        os.makedirs(f"{root}/{d}")
    shutil.copy(f"{BIN}/nono", f"{root}/nono-test/nono")
    subprocess.run(["gcc", "-O1", "-static", "-o", f"{root}/nono-test/probe", f"{corpus.HERE}/probe.c"], check=True)


def ask(root: str, questions: list, policy: str | None, flags: tuple = ()) -> str:
    def enter() -> None:
        os.chroot(root)
        os.chdir("/tmp")

    text = "".join(q.replace("~", "/root") + "\n" for q in questions)
    env = {"HOME": "/root", "PATH": "/usr/bin", **ENV}
    command = ["/nono-test/probe"]
    if not policy:
        return subprocess.run(command, input=text, capture_output=True, text=True, preexec_fn=enter, env=env).stdout.strip()
    fd = os.open(policy, os.O_RDONLY)
    try:
        p = subprocess.run(["/nono-test/nono", "wrap", "--policy-fd", str(fd), "--profile", "p", *flags, "--", *command], input=text,
                           capture_output=True, text=True, pass_fds=[fd], preexec_fn=enter, env=env)
    finally:
        os.close(fd)
    return p.stdout.strip() or p.stderr


def case(tap, d: str, name: str, value: dict, yes: list, no: list, flags: tuple = ()) -> None:
    with open(f"{d}/p.json", "w", encoding="utf-8") as f:
        json.dump(value, f)
    compiled = subprocess.run([corpus.KUBEFENCE, "profile", "compile", f"{d}/p.json"], capture_output=True, text=True)
    with open(f"{d}/policy", "w", encoding="utf-8") as f:
        f.write(compiled.stdout)
    got = ask(f"{d}/root", yes + no, f"{d}/policy", flags) if compiled.returncode == 0 else compiled.stderr
    want = "1" * len(yes) + "0" * len(no)
    wrong = [f"{q}: {g}" for q, g, w in zip(yes + no, got, want) if g != w]
    tap.ok(got == want, f"narrow: {name}", "\n".join(wrong) or got)


def run(tap) -> None:
    with tempfile.TemporaryDirectory(prefix="kf-narrow.") as d:
        os.chmod(d, 0o755)
        os.makedirs(f"{d}/root")
        build(f"{d}/root")
        os.makedirs(f"{d}/volume")
        shutil.copy(f"{d}/root/data/f", f"{d}/volume/f")
        os.chmod(f"{d}/volume/f", 0o777)
        mounts = [["-t", "proc", "proc", f"{d}/root/proc"], ["--bind", f"{d}/volume", f"{d}/root/data"]]
        done = []
        try:
            for mount in mounts:
                subprocess.run(["mount", *mount], check=True)
                done.append(mount[-1])
            asked = {q: None for _, yes, no in CASES.values() for q in (yes + "|" + no).split("|") if not q.startswith("e ") or q[2:] in ENV}
            tap.equal(ask(f"{d}/root", list(asked), None), "1" * len(asked), f"narrow: all {len(asked)} that is asked is allowed without the sandbox")
            for name, (value, yes, no) in CASES.items():
                case(tap, d, name, value, yes.split("|"), no.split("|"))
            ports = profile(network={"open_port": [LOW + 5]})
            for name, (base, flags, yes, no) in OPTIONS.items():
                case(tap, d, name, ports if base == "ports" else profile(base), yes.split("|"), no.split("|"), tuple(flags))
        finally:
            for path in reversed(done):
                subprocess.run(["umount", path], check=True)
