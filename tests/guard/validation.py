# SPDX-License-Identifier: Apache-2.0
"""The validation programs of OCI runtime-tools, each with the bare runtime and with the guard before it.

Their bundles bring a seccomp policy of their own.  Inside, runtimetest compares what it finds with config.json,
which lies in the image: it is given the caller's, not the guard's, so each difference is one that a workload can
see.  Every line of a program's output has to be the control's, or to be named below with the reason."""
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from lib_guard import Node, own_mount_namespace
from parts import runtimes

from lib import tools
from lib.tap import Tap

QUICK = ("create", "default", "hostname")
MODULE = "github.com/opencontainers/runtime-tools"
PROGRAMS = 58
DEADLINE = 120
LEVELS = ("", "restricted")
# What the guard changes on purpose: of which programs (None: of all); the lines, with "-" if only the control has them and
# with "+" if only the guard has; and why.
CHANGES = (
    (None, r"[-+](not )?ok mounts \(.*\) found in order", "/proc is mounted after all other mounts, so that none can cover the launcher's descriptor"),
    (None, r"[-+](not )?ok has expected noNewPrivileges", "it is always set"),
    (None, r"[-+](not )?ok has expected environment variable PATH", "/nono is at its end, for 'nono why'"),
    (None, r"\+ok # SKIP root.readonly is false but the root filesystem is still not writable", "Landlock: the profile does not grant writing in /"),
    (("hostname", "linux_masked_paths", "linux_readonly_paths", "linux_rootfs_propagation"), r"[-+](not )?ok check .*",
     "the sum of a runtimetest that says the first two"),
    (("killsig", "start"), r"[-+](not )?ok (`kill` operation MUST send the|`start` operation MUST run the|attempting to `start` a container that is not) .*",
     "Landlock: the sign that the program ran would be a file in /"),
    (("linux_rootfs_propagation",), r"-(not )?ok .*|\+not ok exit status 1",
     "Landlock: runtimetest wants to make a directory in /, and ends; where the root is unbindable nothing can be bound, the launcher neither"),
    (("hooks_stdin",), r'[-+](not )?ok the state of the container MUST be passed to "\w+" hook over stdin',
     "the annotation in which the guard keeps the pod's seccomp policy is in the state"),
    (("start",), r"-ok `start` operation MUST generate an error if `process` was not set|\+not ok exit status 1",
     "crun 1.28 creates a container without a process, and has nothing to start; the guard refuses to create one, as runc does"),
    (("create",), r"\+nono-runc: create: .* is not understood; the guard knows the flags of runc and crun",
     "the case without an ID, which ends in an error with both"),
    (("linux_ns_itype",), r"-ok inherit namespace .*|\+not ok cannot run validation tests: exit status 1",
     "in the host's mount namespace no path can be masked, and the runtime refuses"),
    (("misc_props",), r"[-+](not )?ok (implementations|runtimes) that are reading.*|\+nono-runc: cannot start '/runtimetest': No such file or directory",
     "its bundle lacks the command: the guard says so by its own name"),
    (("linux_seccomp",), r"-not ok (seccomp action is added correctly|exit status 1)|\+ok.*",
     "better than the control: its policy forbids getcwd, which runc itself calls under it"),
    (("process_rlimits",), r"\+ok .*|\+not ok has expected soft RLIMIT_NOFILE|exit code 1, with the guard 0",
     "better than the control: runc 1.5 cannot compile the policy within the container's limit of memory"),
)
# pidfile kills "true" when it has made the pid file, and wants no error: a question of who is first, with and without the guard.
TOO_LATE = re.compile(r'"stderr": ".*(container not running|No such process)')


def rootfs() -> str:
    """The image that the programs unpack; it comes with their module."""
    p = subprocess.run([tools.go(), "mod", "download", "-json", MODULE], cwd=tools.MODULES / "validation", capture_output=True,
                       text=True, check=True, env={**os.environ, "GOTOOLCHAIN": "local"})
    return json.loads(p.stdout)["Dir"] + "/rootfs-amd64.tar.gz"


def lines(text: str) -> Counter:
    """What a program found, without the order (Go's maps have none), numbers and random names."""
    found = Counter()
    for line in text.splitlines():
        if m := re.match(r"((?:not )?ok) \d+(?: - )?(.*)", line):
            what = re.sub(r"ocitest\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{6,}", "X", m[2])
            found[f"{m[1]} {re.sub(r'mounts.[0-9]+.', 'mounts', what).strip()}"] += 1
        elif m := re.match(r'\s*"stdout": (".*"),?$', line):  # of a runtimetest in it
            found += lines(json.loads(m[1]))
    return found


class Validation:
    def __init__(self, node: Node):
        self.node, self.bin = node, tools.bindir("validation")
        self.dir = node.dir / "validation"
        self.dir.mkdir()
        # Some of them leave mounts behind: these go with this one.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(self.dir)], check=True)
        for f in (self.bin / "runtimetest", rootfs()):
            shutil.copy(f, self.dir)
        # crun 1.8 does not know the version that they write.  And after "create --bundle DIR" the guard's config.json is
        # replaced by the caller's again, for runtimetest.
        for name, runtime in (("bare", node.runtime), ("guard", node.guard_path)):
            (self.dir / name).write_text(f"""#!/bin/sh
r="{runtime} --root {node.root}"
dir=.; last=
for a; do [ "$last" = --bundle ] && dir=$a; last=$a; done
[ "$1" = create ] && [ -e "$dir/config.json" ] || exec $r "$@"
sed -i 's/"ociVersion": *"1[.0-9]*"/"ociVersion":"1.0.2"/' "$dir/config.json"
cp "$dir/config.json" "$dir/config.asked"
$r "$@"
code=$?
mv "$dir/config.asked" "$dir/config.json"
exit $code
""")
            (self.dir / name).chmod(0o755)

    def run(self, program: str, runtime: str) -> tuple[int, Counter, str]:
        p = subprocess.run([self.bin / program], cwd=self.dir, env={**os.environ, "RUNTIME": str(self.dir / runtime), "TMPDIR": str(self.dir)},
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=DEADLINE, check=False)
        out = p.stdout
        if program == "pidfile" and TOO_LATE.search(out):
            out = out.replace("not ok 1 ", "ok 1 ")
        return p.returncode, lines(out), p.stdout + p.stderr

    def run_all(self, programs: list[str], runtime: str) -> dict:
        """Those with cgroups use one name: one after the other.  The rest mostly waits."""
        alone = [p for p in programs if "cgroups" in p or "resources" in p]
        rest = [p for p in programs if p not in alone]
        with ThreadPoolExecutor(4) as pool:
            done = dict(zip(rest, pool.map(lambda p: self.run(p, runtime), rest)))
        return done | {p: self.run(p, runtime) for p in alone}

    def close(self) -> None:
        subprocess.run(["umount", "-R", "-l", str(self.dir)], check=True)


def compare(t: Tap, what: str, program: str, control: tuple, guard: tuple, used: set) -> bool:
    """Whether nothing differs; what differs has to be one of CHANGES."""
    differ = [f"-{x}" for x in control[1] - guard[1]] + [f"+{x}" for x in guard[1] - control[1]]
    if control[0] != guard[0]:
        differ.append(f"exit code {control[0]}, with the guard {guard[0]}")
    differ += [f"+{x}" for x in re.findall(r'nono(?:-runc)?: [^"\\\n]*', guard[2])]
    unknown = []
    for line in differ:
        known = [c for c in CHANGES if (c[0] is None or program in c[0]) and re.fullmatch(c[1], line)]
        used |= {CHANGES.index(c) for c in known}
        if not known:
            unknown.append(line)
    t.ok(not unknown, f"{what}: {program}", "\n".join([*unknown, control[2][-1500:], guard[2][-1500:]]))
    return not differ


def main() -> None:
    mode, wanted = sys.argv[1] if len(sys.argv) > 1 else "quick", sys.argv[2:]
    own_mount_namespace()
    t = Tap()
    programs = sorted(p.name for p in tools.bindir("validation").iterdir() if p.name[0] != "." and p.name != "runtimetest")
    t.equal(len(programs), PROGRAMS, "all programs of the module are built")
    found = runtimes(mode)
    chosen = {n: p for n, p in found.items() if n in wanted} or found
    named = [w for w in wanted if w not in found]
    if mode == "quick" or named:
        programs = named or list(QUICK)
    used: set = set()
    for name, path in chosen.items():
        node = Node(path)
        validation = Validation(node)
        try:
            control = validation.run_all(programs, "bare")
            for level in LEVELS:
                node.settings(seccomp=level)
                got = validation.run_all(programs, "guard")
                equal = [compare(t, f"{name}, level '{level}'", p, control[p], got[p], used) for p in programs]
                print(f"# {name}, level '{level}': {len(programs)} programs, {sum(equal)} equal, {len(equal) - sum(equal)} differ as listed",
                      flush=True)
        finally:
            validation.close()
            node.close()
    if mode == "all" and not wanted:
        t.equal([CHANGES[i] for i in range(len(CHANGES)) if i not in used], [], "each change that is listed was seen")
    sys.exit(t.done())


main()
