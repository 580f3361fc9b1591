# SPDX-License-Identifier: Apache-2.0
"""The table of the launcher's system calls (src/seccomp/launcher.c) against the launcher: strace says what it calls, also when it has to do without one; each of these is then denied
alone. The table must hold exactly the calls that strace saw, and among them as needed exactly those without which the launcher does not get to the workload, or whose error it takes for an
answer. However it ends, it never ends in a workload that is not sandboxed."""
import json
import os
import re
import struct
import subprocess
import tempfile

import box
from behaviour import MINIMAL, policy

KUBEFENCE = f"{box.ROOT}/out/bin/kubefence"
# A workload that makes two calls, neither of which the launcher makes: 42 in the sandbox, 43 outside.
WORKLOAD = r"""
#include <asm/unistd.h>
#include <fcntl.h>
static long call(long nr, long a, long b, long c)
{
#if defined(__x86_64__)
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "0"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#else
	register long x8 __asm__("x8") = nr, r __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	__asm__ volatile("svc 0" : "+r"(r) : "r"(x8), "r"(x1), "r"(x2) : "memory");
#endif
	return r;
}
void _start(void)
{
	long r = call(__NR_truncate, (long)"/etc/victim", 2, 0);
	call(__NR_exit, r == 0 ? 43 : 42, 0, 0);
	__builtin_unreachable();
}
"""
FULL = policy(MINIMAL + "fs rw $WORKDIR\nfs volumes\nfs deny /run/secrets\nfs quiet /srv\nnet block\nnet connect 443\nscope signal\nscope abstract\n"
              "env drop LD_PRELOAD\nenv set A=B\nrlimit nofile 64 64\n", "p")

# What is typical of each, as a shell command in the container.
CASES = {
    "default": "/nono/nono wrap -- /bin/workload",
    "found in PATH, from a work directory": "cd /work && exec /nono/nono wrap --profile default -- workload",
    "strict": "/nono/nono wrap --profile strict -- /bin/workload",
    "every kind of rule, by descriptor": "exec /nono/nono wrap --policy-fd 3 --profile p -- /bin/workload 3</policy-full",
    "nested": "/nono/nono wrap -- /nono/nono wrap -- /bin/workload",
    "a published profile": "/published/nono wrap --profile p -- /bin/workload",
    # With the guard: a domain file that is still to be completed, and one that is to be followed.
    "first in a container": "cat /domain >/domain.$$ && exec /nono/nono wrap --policy-fd 3 --report-fd 4 --profile p -- /bin/workload 3<>/domain.$$ 4>/dev/null",
    "entering a container": "exec /nono/nono wrap --policy-fd 3 --report-fd 4 --profile p -- /bin/workload 3<>/domain.decided 4>/dev/null",
}
# The launcher goes on after an error, with what it takes for the answer.
BELIEVED = {"getcwd", "geteuid"}
# The errors that an optional call may fail with.
REFUSALS = (1, 38)
# What an older strace gives as a number, and older headers not at all.
NEWER = {"statmount": 457, "listmount": 458}
# Ends as asked for, without a workload: what a message needs is no reason to refuse a policy.
FAILING = {"an unknown profile": "/nono/nono wrap --profile nosuch -- /bin/workload"}


def domain() -> bytes:
    """A domain file as the guard begins it (src/sandbox/domain.h), without a seccomp program: the runtime has that if it asks a listener."""
    text = FULL.encode()
    return struct.pack("<8s6I", b"nonodom1", len(text), 0, 0, 0, 0, 0) + text.ljust((len(text) + 7) & ~7, b"\0")


def numbers() -> dict[str, int]:
    text = subprocess.run(["gcc", "-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"], capture_output=True, text=True, check=True).stdout
    return NEWER | {m[1]: int(m[2]) for m in re.finditer(r"^#define __NR_(\w+) (\d+)$", text, re.MULTILINE)}


def said(calls: list[str] | None, errno: int) -> set[str]:
    """What the product minds about a policy that answers these calls (None: all) with an error; 0 is the lie that no call may be told."""
    answer = {"action": "SCMP_ACT_ERRNO", "errnoRet": errno}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": calls, **answer}]} if calls else \
        {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno, "syscalls": []}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(profile, f)
        f.flush()
        p = subprocess.run([KUBEFENCE, "seccomp", "intersect", f.name, f.name, "-o", "oci"], capture_output=True, text=True)
    m = re.search(r"launcher needs: (.*)", p.stderr)
    return set(m[1].split(", ")) if m else set()


def without(call: int, errno: int, command: str) -> str:
    """@command with a fault right before the launcher: the shell's own calls would fall under it too."""
    return re.sub(r"^(.*?)(exec )?(/\w+/nono wrap)", rf"\1exec kernel fault {call} {errno} \3", command, count=1)


def traced(b: box.Box, command: str) -> list[str]:
    """The calls from the launcher's start to the workload's, by strace."""
    with tempfile.TemporaryDirectory() as d:
        p = subprocess.run(["strace", "-ff", "-o", f"{d}/t", "runc", "--root", f"{b.dir}/runc", "exec", b.id, "sh", "-c", command],
                           capture_output=True, text=True, stdin=subprocess.DEVNULL)
        calls: list[str] = []
        for name in os.listdir(d):
            with open(f"{d}/{name}", errors="replace") as f:
                lines = f.read().splitlines()
            at = next((i for i, line in enumerate(lines) if re.match(r'execve\("/(nono|published)/nono"', line)), None)
            if at is not None:
                for line in lines[at + 1:]:
                    if line.startswith('execve("/bin/workload"'):
                        break
                    if m := re.match(r"(\w+)\(", line):
                        calls.append({f"syscall_{n:#x}": name for name, n in NEWER.items()}.get(m[1], m[1]))
    return calls if calls else [f"nothing: {p.stderr}"]


def run(t) -> None:
    nr = numbers()
    with box.Box(caps=box.available_caps()) as b:
        box.build("kernel", f"{b.rootfs}/bin/kernel")
        subprocess.run(["gcc", "-O1", "-static", "-nostdlib", "-fno-stack-protector", "-x", "c", "-o", f"{b.rootfs}/bin/workload", "-"],
                       input=WORKLOAD, text=True, check=True)
        os.makedirs(f"{b.rootfs}/run/secrets")
        os.makedirs(f"{b.rootfs}/published/profiles")
        for name, text in (("etc/victim", "xx"), ("run/secrets/s", "secret"), ("policy-full", FULL), ("published/profiles/p", FULL)):
            with open(f"{b.rootfs}/{name}", "w") as f:
                f.write(text)
        for name in ("domain", "domain.decided"):
            with open(f"{b.rootfs}/{name}", "wb") as f:
                f.write(domain())
        subprocess.run(["cp", box.NONO, f"{b.rootfs}/published/nono"], check=True)
        os.mkdir(f"{b.dir}/v")
        b.mounts = [{"destination": "/data", "type": "bind", "source": f"{b.dir}/v", "options": ["bind", "rw"]}]
        b.start()
        t.equal(b.exec(["/bin/workload"]).returncode, 43, "control: the workload says that it is not sandboxed")
        t.equal(b.exec(["sh", "-c", CASES["entering a container"]]).returncode, 42, "the first process completes the domain file that the others follow")
        calls: set[str] = set()
        for name, command in {**CASES, **FAILING}.items():
            these = traced(b, command)
            t.ok(len(these) > 5 and set(these) <= set(nr), f"{name}: {len(these)} calls traced", these)
            calls |= set(these)
            p = b.exec(["sh", "-c", command])
            t.equal(p.returncode, 42 if name in CASES else 1, f"{name}: without a denial it ends as it should")
        # execve is how the runtime starts anything: denied, not even the launcher is there to see it.
        calls -= {"execve"}
        t.ok("execve" in said(["execve"], 1), "execve is in the table")
        optional = {c for c in said(None, 0) if c not in said([c], 1)}
        for name, command in CASES.items():
            for c in sorted(optional & set(nr)):
                calls |= set(traced(b, without(nr[c], 1, command)))
        loop = 'for c; do sh -c "${c#* }" </dev/null >/dev/null 2>&1; echo "${c%% *} $?"; done'
        needed, open_ended, lost = set(), [], []
        calls -= {"execve"}
        for name, command in CASES.items():
            for errno in REFUSALS:
                faulted = [f"{c} " + without(nr[c], errno, command) for c in sorted(calls)]
                p = b.exec(["sh", "-c", loop, "sh", *faulted])
                results = dict(line.split() for line in p.stdout.splitlines())
                t.equal(sorted(results), sorted(calls), f"{name}: every call was denied once with {errno}")
                needed |= {c for c, r in results.items() if r != "42"}
                open_ended += [f"{name}: {c}" for c, r in results.items() if r == "43"]
                lost += [f"{name}: {c} {errno}" for c in optional if results.get(c, "42") != "42"]
        t.equal(open_ended, [], "no denial ends in a workload that is not sandboxed")
        t.equal(lost, [], f"with either error of any of the {len(optional)} optional calls the workload runs sandboxed")
        t.equal(sorted(said(None, 0)), sorted(calls | {"execve"}), f"the table holds exactly the {len(calls) + 1} calls that strace saw")
        t.equal(sorted({c for c in calls if said([c], 1)}), sorted(needed | BELIEVED), "as needed it names exactly those without which the launcher fails, and those whose error it believes")
        t.equal(sorted({c for c in calls if said([c], 0)}), sorted(calls), "no call of the launcher's may be answered with success by a filter")
