# SPDX-License-Identifier: Apache-2.0
"""The attack matrix of tests/sandbox from inside an agent's sandbox: nono-bwrap within a container's.

Three times in one container: by the container's sandbox alone, by the inner one alone, and by the inner within the outer one. What
either refuses, both together refuse: no row leads from the inner sandbox to what the outer one grants, or out of both.
"""
import os
import shutil
import sys

import lib_bwrap

sys.path[:0] = [f"{lib_bwrap.ROOT}/tests/{d}" for d in ("sandbox", "")]

import attacks  # noqa: E402

INSIDE = "/nono/nono-bwrap"
READ_ONLY = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
# The command lines of agents, as far as they say what may be reached.
SANDBOXES = {
    "read-only": READ_ONLY,
    "workspace-write": [*READ_ONLY, "--bind", "/tmp", "/tmp", "--die-with-parent", "--new-session"],
    "read-only, no network": [*READ_ONLY, "--unshare-net", "--unshare-pid"],
}
NETWORK = ("tcp_connect", "tcp_listen", "tcp6", "udp", "udp_send", "udp_listen", "raw", "packet", "vsock", "mptcp")
# What the inner sandbox has to refuse although the outer one grants it.
REFUSED = {
    "read-only": ("exec_written",),
    "workspace-write": (),
    "read-only, no network": ("exec_written", *NETWORK),
}


def answers(b, sandbox: list[str] | None, profile: str | None) -> dict[str, str]:
    inner = [INSIDE, *sandbox, "--"] if sandbox else []
    return attacks.attacked(b.exec([*inner, "/bin/attack", "all"], profile=profile))


def try_one(t, target: "attacks.Target", name: str, profile: str) -> None:
    with target.box() as b:
        shutil.copy2(lib_bwrap.OURS, f"{b.nono_dir}/nono-bwrap")
        outer = answers(b, None, profile)
    with target.box() as b:
        shutil.copy2(lib_bwrap.OURS, f"{b.nono_dir}/nono-bwrap")
        inner = answers(b, SANDBOXES[name], None)
    with target.box() as b:
        shutil.copy2(lib_bwrap.OURS, f"{b.nono_dir}/nono-bwrap")
        both = answers(b, SANDBOXES[name], profile)
    what = f"{name} within {profile}"
    t.equal(sorted(both), sorted(r[0] for r in attacks.ROWS), f"{what}: every attack is tried")
    for row in attacks.ROWS:
        got = (outer[row[0]] == "ok", inner[row[0]] == "ok", both[row[0]] == "ok")
        t.ok(not got[2] or (got[0] and got[1]), f"{what}: {row[1]}: no more than by either alone",
             f"outer {outer[row[0]]}, inner {inner[row[0]]}, both {both[row[0]]}")
    for row in REFUSED[name]:
        t.ok(both[row] != "ok", f"{what}: {row} is the inner sandbox's to refuse", f"outer {outer[row]}, both {both[row]}")


def run(t) -> None:
    target = attacks.Target()
    try:
        for name in SANDBOXES:
            for profile in ("default", "strict"):
                t.case(f"attacks: {name}, {profile}", try_one, t, target, name, profile)
    finally:
        target.close()
