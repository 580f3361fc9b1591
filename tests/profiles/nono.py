# SPDX-License-Identifier: Apache-2.0
"""Profiles written for nono: its built-in ones, those of its documentation, those of its old form.

Each compiles, or is refused for one of REASONS, which are right in a container.  Where nono's own
texts are at hand (beside.py builds it, for "all") they are taken; else equivalents of ours.
"""
import json
import os
import re
import subprocess
import tempfile

import corpus

# Why a profile for nono is refused; what the compiler says then.
REASONS = {
    "proxy": "it is about nono's proxy",
    "supervisor": "it needs nono's supervisor",
    "key store": "there is no key store in a container",
    "hooks": "no scripts of a profile run in a container",
    "sockets": "the launcher does not mediate connections to unix sockets by path",
    "patterns": "the kernel knows no patterns",
    "methods": "methods and paths show only where nothing is encrypted",
    "variable": "cannot be denied: only the program knows what the variable is",
    "denied": "is granted here, but .* is denied",
    "system": "would give the whole system away",
    "unknown": "there is no (?:group|profile|network profile) ",
    "pod": "it is the pod's to say",
    "packs": "bases are named, not fetched",
    "namespace": "the network namespace is the pod's",
}
# Nono's built-in profiles as it describes them: what they include beside its default.
BUILTIN = {
    "default": (["user_tools", "homebrew_linux", "deny_shell_configs", "dangerous_commands", "system_read_macos"], False),
    "linux-host-compat": (["linux_runtime_state", "linux_sysfs_read", "linux_temp_read"], False),
    "mise-dev": (["mise_manager"], True),
    "python-dev": (["python_runtime"], True),
    "node-dev": (["node_runtime"], True),
    "bun-dev": (["bun_runtime"], True),
    "go-dev": (["go_runtime", "go_runtime_linux", "go_runtime_macos"], True),
    "java-dev": (["java_runtime"], True),
    "rust-dev": (["rust_runtime"], True),
}


def load(name: str) -> list:
    with open(f"{corpus.HERE}/{name}", encoding="utf-8") as f:
        return json.loads(corpus.strip(f.read()))


def reasons(problems: list[dict]) -> set:
    """The names of all errors' reasons; an error that is none of them is its own name."""
    found = set()
    for p in problems:
        if p["severity"] == "error":
            found |= {name for name, text in REASONS.items() if re.search(text, p["message"])} or {p["message"]}
    return found


def own_builtins() -> dict:
    profiles = {}
    for name, (groups, hosts) in BUILTIN.items():
        profiles[name] = {
            "meta": {"name": name}, "groups": {"include": groups}, "security": {"signal_mode": "isolated"}, "filesystem": {},
            "network": {"block": False, **({"network_profile": "developer"} if hosts else {})},
            "workdir": {"access": "readwrite" if hosts else "none"}, **({} if name == "default" else {"extends": "default"}),
        }
    profiles["default"]["filesystem"] = {"unix_socket_dir": [{"path": "/run/systemd/userdb", "when": "linux"}]}
    return profiles


def builtins(tap, profiles: dict, whose: str) -> None:
    """As they are; and with hosts that the cluster enforces, which a pod's owner has to say."""
    compiled, wrong, enforced = 0, [], 0
    with tempfile.TemporaryDirectory(prefix="kf-nono.") as d:
        for name, profile in profiles.items():
            with open(f"{d}/{name}.json", "w", encoding="utf-8") as f:
                json.dump(profile, f)
            with open(f"{d}/{name}-enforced.json", "w", encoding="utf-8") as f:
                json.dump({"extends": name, "network": {"enforced_by": "network-policy"}}, f)
        for name, profile in profiles.items():
            why = reasons(corpus.validate(f"{d}/{name}.json"))
            compiled += not why
            if why:
                wrong.append(f"{name}: {why}")
            why = reasons(corpus.validate(f"{d}/{name}-enforced.json"))
            enforced += not why
            if why:
                wrong.append(f"{name} with enforced_by: {why}")
    tap.ok(not wrong and len(profiles) == enforced == 9,
           f"nono's built-in profiles, {whose}: {compiled} of 9 compile, the others name hosts; {enforced} of 9 once the cluster enforces these",
           "\n".join(wrong))


def all_of(tap, cases: list, what: str) -> None:
    """@cases: profile and the reasons for which it is refused, None if any will do."""
    wrong, compiled = [], 0
    with tempfile.TemporaryDirectory(prefix="kf-nono.") as d:
        for i, (profile, want) in enumerate(cases):
            with open(f"{d}/p{i}.json", "w", encoding="utf-8") as f:
                f.write(profile if isinstance(profile, str) else json.dumps(profile))
            why = reasons(corpus.validate(f"{d}/p{i}.json"))
            os.unlink(f"{d}/p{i}.json")
            compiled += not why
            if why != want if want is not None else not why <= set(REASONS):
                wrong.append(f"{profile}: {sorted(why)}, not {want}")
    tap.ok(not wrong, f"{what}: {compiled} of {len(cases)} compile, the others are refused for a reason of a container's", "\n".join(wrong))


def people(tap) -> None:
    """Profiles in the manner of people's own; each file says what must come of it."""
    names = sorted(os.listdir(f"{corpus.HERE}/people"))
    for name in names:
        corpus.one(tap, f"{corpus.HERE}/people/{name}", [])
    tap.ok(len(names) >= 40, f"{len(names)} profiles in the manner of people's own")


def strict(tap) -> None:
    """What changes nothing passes, and not with --strict."""
    for name, status in (("pack-agent-reopen", 1), ("dotfiles-notes", 1), ("ci-excludes", 1), ("dotfiles-notes-kept", 0), ("ci-nulls", 0)):
        path = f"{corpus.HERE}/people/{name}.json"
        plain = subprocess.run([corpus.KUBEFENCE, "profile", "validate", path], capture_output=True).returncode
        hard = subprocess.run([corpus.KUBEFENCE, "profile", "validate", "--strict", path], capture_output=True).returncode
        tap.equal((plain, hard), (0, status), f"validate --strict {name}")


def run(tap) -> None:
    builtins(tap, own_builtins(), "in our words")
    documented = load("documented.jsonc")
    all_of(tap, [(c["profile"], set(c["refused"])) for c in documented], "the profiles of nono's documentation")
    tap.equal(len(documented), 131, "as many as the documentation has")
    old = load("old.jsonc")
    all_of(tap, [(p, set()) for p in old], "profiles in nono's old form")
    tap.equal(len(old), 13, "as many as nono tests with")
    people(tap)
    strict(tap)
