# SPDX-License-Identifier: Apache-2.0
"""What kubefence doctor says of a node's kernel and runtime, on kernels and runtimes that are so: Landlock's ABI as
tests/sandbox/kernel.c plays it (tests/qemu compares that with real kernels), sysctls in namespaces of their own, and each
containerd line's real program."""
import subprocess
import sys
import tempfile
from pathlib import Path

from doctor import checks
from node_root import BIN, ROOT, NodeRoot

sys.path.append(str(ROOT / "tests/guard"))
import lib_guard  # noqa: E402

LANDLOCK, AUDIT, USERS = "Landlock is available", "denials can be audited", "user namespaces are available"
MEMFD, VERSION = "sealed programs in memory may run", "its version allows plugin and guard"
CREATE_RULESET, ENOSYS, EOPNOTSUPP = 444, 38, 95
# Of an ABI: what doctor says of it, "" if nothing.
ABIS = {1: "network", 3: "network", 4: "scope", 5: "scope", 6: "", 7: "", 10: "", 11: "", 12: ""}
BEFORE_0_10 = ("1.7", "2.0", "2.1")


def said(root: Path, prefix=()) -> dict[str, dict]:
    cmd = [*prefix, BIN / "kubefence", "doctor", "--pre", "-o", "json", "--host-root", root]
    return checks(subprocess.run(list(map(str, cmd)), capture_output=True, text=True, timeout=120).stdout)


def landlock(t, root: Path) -> None:
    with tempfile.TemporaryDirectory() as d:
        subprocess.run(["gcc", "-O1", "-static", "-o", f"{d}/kernel", ROOT / "tests/sandbox/kernel.c"], check=True)
        for abi, lacks in ABIS.items():
            found = said(root, (f"{d}/kernel", "abi", abi))
            one = found[LANDLOCK]
            t.ok(one["result"] == ("warning" if lacks else "success") and lacks in one.get("error", "") and str(abi) in str(one),
                 f"kernel: Landlock ABI {abi}: {'a warning: no ' + lacks if lacks else 'fine'}", one)
            if abi < 7:
                t.ok(found[AUDIT]["result"] == "warning", f"kernel: Landlock ABI {abi}: denials cannot be audited", found[AUDIT])
        for what, error in (("is not built in", ENOSYS), ("is off", EOPNOTSUPP)):
            one = said(root, (f"{d}/kernel", "fault", CREATE_RULESET, error))[LANDLOCK]
            t.equal(one["result"], "error", f"kernel: Landlock {what}: an error")


def memfd(t, root: Path) -> None:
    """The sysctl belongs to the PID namespace."""
    inside = ("unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", 'echo "$0" >/proc/sys/vm/memfd_noexec && exec "$@"')
    runc = subprocess.run(["which", "runc"], check=True, capture_output=True, text=True).stdout.strip()
    guard = lib_guard.Node(runc)
    try:
        for value in (0, 1, 2):
            one = said(root, (*inside, value))[MEMFD]
            t.equal(one["result"], "error" if value == 2 else "success", f"kernel: vm.memfd_noexec {value}: doctor")
            b = guard.bundle(["echo", "ran"]).write()
            r = guard.call_line(*inside, str(value), *guard.command("run", "--bundle", b.dir, guard.id()))
            if value == 2:
                t.ok(r.code and "ran" not in r.out and "memfd_noexec" in r.err, "kernel: vm.memfd_noexec 2: the guard starts nothing, and says why", r)
            else:
                t.equal(r.out, "ran\n", f"kernel: vm.memfd_noexec {value}: the guard starts a container")
    finally:
        guard.close()


def users(t, root: Path) -> None:
    """The sysctl belongs to the user namespace."""
    none = ("unshare", "--user", "--map-root-user", "sh", "-c", 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"', "sh")
    t.equal(said(root)[USERS]["result"], "success", "kernel: user namespaces: fine")
    one = said(root, none)[USERS]
    refused = subprocess.run([*none, "unshare", "--user", "true"], capture_output=True).returncode
    t.ok(one["result"] == "warning" and refused, "kernel: user.max_user_namespaces 0: none can be made, and doctor says so", one)


def versions(t, tools, everything: bool) -> None:
    for line in ("1.7", "2.0", "2.1", "2.2", "2.3", "2.4") if everything else ("2.4",):
        with NodeRoot(tools.program("containerd", line), config=b"version = 2\n") as n:
            one = said(n.dir)[VERSION]
            old = line in BEFORE_0_10
            t.ok(one["result"] == ("warning" if old else "success") and ("only the guard" in one.get("error", "")) == old and line in str(one),
                 f"doctor on containerd {line}: {'the guard alone' if old else 'plugin and guard'}", one)


def run(t, tools, everything: bool) -> None:
    with NodeRoot(tools.program("containerd", "2.4"), config=b"version = 3\n") as n:
        landlock(t, n.dir)
        memfd(t, n.dir)
        users(t, n.dir)
    versions(t, tools, everything)
