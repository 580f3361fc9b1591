# SPDX-License-Identifier: Apache-2.0
"""Random profiles over a small world of paths, so that rules meet."""
import json
import random

DIRS = ["/bin", "/usr/bin", "/usr/lib/x", "/etc", "/data", "/data/a", "/data/a/b", "/opt/app", "/srv",
        "/home/dev", "/home/dev/.config/tool", "/root", "/root/.cache", "/tmp", "/tmp/t", "/var/lib/db",
        "/var/tmp", "/run/secrets/k8s", "/run/app", "/work", "/work/src"]
GRANTABLE = ["/data", "/data/a", "/data/a/b", "/data/a/f0", "/opt", "/opt/app", "/srv", "/srv/f1", "/tmp/t",
             "/var/lib", "/var/lib/db", "/run/app", "/work/src", "~/.cache", "~/.config/tool", "$WORKDIR",
             "$XDG_CACHE_HOME", "/tmp/t-$UID", "/dev/termination-log", "/etc/hosts", "/missing/dir", "/link/a", "/usr/lib/x", "$TMPDIR", "/home/dev"]
DENIABLE = ["/data/a/b", "/data/a/f0", "/opt/app", "/srv/f1", "/tmp/t", "/var/lib/db", "/run/app/f0",
            "~/.cache", "~/.config/tool", "/etc/f0", "/missing/dir", "/work/src/f2", "/link/a/f1"]
GROUPS = ["git_config", "node_runtime", "python_runtime", "rust_runtime", "deny_shell_configs", "system_read_linux",
          "linux_sysfs_read", "nix_runtime"]


def some(r: random.Random, values: list, most: int) -> list:
    return r.sample(values, r.randint(0, min(most, len(values))))


def filesystem(r: random.Random, denies: int = 3) -> dict:
    fs: dict = {}
    for key in ("allow", "read", "write"):
        if r.random() < 0.5:
            fs[key] = some(r, GRANTABLE, 3)
    if r.random() < 0.7:
        fs["grant"] = [{"path": p, "access": r.choice(["r", "rx", "rw", "rwx", "w"])} for p in some(r, GRANTABLE, 4)]
    if r.random() < 0.6:
        fs["deny"] = some(r, DENIABLE, denies)
    if fs.get("deny") and r.random() < 0.4:
        # Lifted as it is denied or in part, for what is granted there or above.
        for denied in some(r, fs["deny"], 2):
            below = r.choice([denied, f"{denied}/f0", f"{denied}/f1"])
            fs.setdefault("bypass_protection", []).append(r.choice([denied, below]))
            fs.setdefault("grant", []).append({"path": below, "access": r.choice(["r", "rx", "rw", "rwx", "w"])})
    if r.random() < 0.3:
        fs["readonly"] = some(r, [*DENIABLE, "$WORKDIR/.git/hooks/", "~/.bashrc"], 3)
    for key in ("image", "homes", "volumes", "processes", "devices"):
        if r.random() < 0.3:
            fs[key] = r.random() < 0.8
    return fs


def profile(r: random.Random) -> dict:
    p: dict = {"filesystem": filesystem(r)}
    if r.random() < 0.2:
        p["filesystem"]["quiet"] = some(r, ["/usr/lib", "~/.netrc", "$WORKDIR/.env", "/srv"], 3)
    if r.random() < 0.3:
        p["workdir"] = {"access": r.choice(["none", "read", "write", "readwrite"])}
    if r.random() < 0.4:
        p["groups"] = {"include": some(r, GROUPS, 3), "exclude": some(r, GROUPS, 1)}
    if r.random() < 0.3:
        p["network"] = r.choice([{"block": True}, {"connect_port": [443, 80]}, {"listen_port_range": [[80, 90], [85, 99], [100, 101]], "open_port_range": [[1, 9]]}, {"open_port": [8080], "block": False},
                                 {"allow_domain": ["a.example", "*.b.example"], "enforced_by": "network-policy"}])
    if r.random() < 0.3:
        p["environment"] = r.choice([{"deny_vars": ["LD_*"]}, {"deny_vars": ["*A*B", "*"], "case_insensitive_vars": True}, {"set_vars": {"A": "$HOME/x"}}, {"allow_vars": ["PATH", "HOME"]}, {"set_vars": {"A": "1", "B": "x y"}}])
    if r.random() < 0.2:
        p["security"] = {"signal_mode": r.choice(["isolated", "allow_all"]), "ipc_mode": "full"}
    if r.random() < 0.2:
        p["rlimits"] = {"nofile": 1024, "core": [0, "unlimited"]}
    if r.random() < 0.2:
        p["seccomp"] = r.choice(["restricted", "agent"])
    return p


def shuffled(r: random.Random, value):
    """The same JSON with the keys of every object in another order."""
    if isinstance(value, dict):
        items = [(k, shuffled(r, v)) for k, v in value.items()]
        r.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [shuffled(r, v) for v in value]
    return value


def write(path: str, value) -> None:
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
