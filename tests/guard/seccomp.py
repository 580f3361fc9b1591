# SPDX-License-Identifier: Apache-2.0
"""Seccomp policies of pods that answer the launcher's system calls in the kernel's place: the container is refused, or every process in it is sandboxed - the first one, one by
"exec --process", one by "exec ARGUMENTS" - or is not there. A process tells by its exit status what it could do, and leaves what it did where the test finds it, so that a policy
which keeps it from saying anything cannot hide it. Levels, runtimes and profile "strict": it must not write to /etc, get a socket, or read what is denied."""
import array
import fcntl
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from lib_guard import DEADLINE, ROOT
from parts import main, runtimes

from lib import seed

LEVELS = ("restricted", "runtime-default", "none")
ALLOW, LOG, ERRNO, NOTIFY = "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_ERRNO", "SCMP_ACT_NOTIFY"
ARCH = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[os.uname().machine]
# How a call may be answered otherwise than by the kernel.
LIES = [{"action": ERRNO, "errnoRet": e} for e in (0, 1, 2, 117)] + [{"action": f"SCMP_ACT_{a}"} for a in ("KILL_THREAD", "KILL_PROCESS", "TRAP", "TRACE", "NOTIFY")]
# What the launcher passes, and what lies beside it: PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, a descriptor, the option of a mark.
VALUES = (0, 1, 3, 22, 38, 0x6B666E6F)
CONDITIONS = [("SCMP_CMP_EQ", v, 0) for v in VALUES] + [("SCMP_CMP_NE", 0, 0), ("SCMP_CMP_NE", 1, 0), ("SCMP_CMP_GE", 1, 0), ("SCMP_CMP_GT", 1000000, 0), ("SCMP_CMP_LT", 1000, 0),
              ("SCMP_CMP_LE", 22, 0), ("SCMP_CMP_MASKED_EQ", 1, 1), ("SCMP_CMP_MASKED_EQ", 0xFF, 22)]
SEED = seed.choose()
QUICK, SECONDS_MAX = 24, int(os.environ.get("SECONDS_MAX", 1200))
ETC, SOCKET, TOKEN, DONE = 1, 2, 4, 40
CALL_SECONDS = 10  # a process that a lie makes hang did not run

# Several ways each, none of which any one denied call closes: what is left open is the sandbox's fault.
PROBE_C = r"""
#include <asm/unistd.h>
#include <fcntl.h>
static long call(long nr, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return r;
#else
	register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#endif
}
static void mark(const char *path) { call(__NR_mkdirat, AT_FDCWD, (long)path, 0755, 0); }
void start(long *sp)
{
	int what = 0;
	call(__NR_truncate, (long)"/etc/victim", 0, 0, 0);
	call(__NR_openat, AT_FDCWD, (long)"/etc/victim", O_WRONLY | O_TRUNC, 0);
	mark("/etc/made");
	call(__NR_symlinkat, (long)"x", AT_FDCWD, (long)"/etc/linked", 0);
	if (call(__NR_mkdirat, AT_FDCWD, (long)"/etc/asked", 0755, 0) == 0)
		what |= 1;
	long s = call(__NR_socket, 2, 2, 0, 0);
	if (s >= 0 && call(__NR_fcntl, s, F_GETFD, 0, 0) >= 0) {
		what |= 2;
		mark("/tmp/socket");
	}
	/* The filter may lie to the workload as well: what counts is what it has read. */
	char c = 0;
	call(__NR_read, call(__NR_openat, AT_FDCWD, (long)"/run/secrets/token", O_RDONLY, 0), (long)&c, 1, 0);
	if (c == 's') {
		what |= 4;
		mark("/tmp/token");
	}
	mark("/tmp/done");
	while (sp[0] > 1) /* the first process stays */
		call(__NR_ppoll, 0, 0, 0, 0);
	call(__NR_exit_group, 40 + what, 0, 0, 0);
	call(__NR_exit, 40 + what, 0, 0, 0);
	__builtin_trap();
}
#if defined(__x86_64__)
__asm__(".globl _start\n_start: xor %ebp,%ebp\nmov %rsp,%rdi\nand $-16,%rsp\ncall start\n");
#else
__asm__(".globl _start\n_start: mov x0,sp\nbl start\n");
#endif
"""


def launcher_calls() -> list[str]:
    """Of the product's table, those of this machine."""
    text = subprocess.run(["gcc", "-E", "-P", "-I", f"{ROOT}/src", "-x", "c", "-"], check=True, capture_output=True, text=True,
                          input=(ROOT / "src/seccomp/launcher.c").read_text()).stdout
    return re.findall(r'\{"(\w+)", KF_CALL_', text)


def policy(*rules: dict, **more) -> dict:
    return {"defaultAction": ALLOW, "architectures": [ARCH], "syscalls": list(rules), **more}


def rule(call: str, answer: dict, *conditions: tuple) -> dict:
    args = [{"index": i, "op": op, "value": v, "valueTwo": two} for i, (op, v, two) in conditions]
    return {"names": [call], **answer, **({"args": args} if args else {})}


class Agent:
    """The pod's listener: whatever it is asked about has succeeded."""
    RECV, SEND = 0xC0502100, 0xC0182101

    def __init__(self, path: Path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.asked = self.connected = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
                self.connected += 1
                _, anc, _, _ = peer.recvmsg(65536, socket.CMSG_SPACE(64))
            except OSError:
                return  # closed
            for level, kind, data in anc:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    for fd in array.array("i", data[:len(data) - len(data) % 4]):
                        threading.Thread(target=self.answer, args=(fd,), daemon=True).start()
            peer.close()

    def answer(self, fd: int) -> None:
        try:
            while True:
                request = bytearray(80)
                fcntl.ioctl(fd, self.RECV, request)
                self.asked += 1
                fcntl.ioctl(fd, self.SEND, bytearray(bytes(request[:8]) + bytes(16)))
        except OSError:
            os.close(fd)  # nobody left to ask

    def close(self) -> None:
        self.socket.close()


class Case:
    """What becomes of a container with this policy."""

    def __init__(self, node, seccomp: dict, agent: Path, bare: bool = False, patience: float = CALL_SECONDS, annotated: bool = False):
        self.node, self.bare, self.patience = node, bare, patience
        if NOTIFY in [seccomp["defaultAction"]] + [r["action"] for r in seccomp["syscalls"]]:
            seccomp = {**seccomp, "listenerPath": str(agent)}
        self.b = node.bundle(["/bin/probe", "stay"])
        if annotated:
            self.b.config["annotations"]["nono.sh/seccomp"] = json.dumps(seccomp)
        else:
            self.b.config["linux"]["seccomp"] = seccomp
        self.tmp = self.b.rootfs / "tmp"  # where every profile lets it write
        self.open, self.ran, self.err = [], [], ""

    def call(self, *args):
        try:
            return self.node.call(*args, bare=self.bare, timeout=self.patience)
        except subprocess.TimeoutExpired:
            return None

    def look(self, who: str, code: int | None) -> None:
        said = code - DONE if code is not None and DONE <= code < DONE + 8 else 0
        etc = self.b.rootfs / "etc"
        wrote = (etc / "victim").stat().st_size == 0 or any(os.path.lexists(etc / n) for n in ("made", "linked", "asked"))
        for bit, seen, what in ((ETC, wrote, "wrote to /etc"), (SOCKET, (self.tmp / "socket").exists(), "has a socket"), (TOKEN, (self.tmp / "token").exists(), "reads a secret")):
            if seen or said & bit:
                self.open.append(f"{who}: {what}")
        if (self.tmp / "done").exists() or code is not None and DONE <= code < DONE + 8:
            self.ran.append(who)
        shutil.rmtree(self.tmp / "done", ignore_errors=True)

    def run(self) -> "Case":
        cid = self.node.id()
        pid = self.b.dir / "pid"
        r = self.call("create", "--pid-file", pid, "--bundle", self.b.write().dir, cid)
        self.err = r.err if r else "timeout"
        if r and r.code == 0:
            self.call("start", cid)
            self.wait(int(pid.read_text()))
            self.look("first process", None)
            process = self.b.dir / "process.json"
            process.write_text(json.dumps({"args": ["/bin/probe"], "cwd": "/work", "env": ["PATH=/bin", "HOME=/home/user"], "user": {"uid": 0, "gid": 0}}))
            for who, args in (("exec by file", ("--process", process, cid)), ("exec by arguments", ("--cwd", "/work", cid, "/bin/probe"))):
                r = self.call("exec", *args)
                self.look(who, r.code if r else None)
        self.node.call("delete", "--force", cid, bare=True)
        shutil.rmtree(self.b.dir, ignore_errors=True)
        return self

    def wait(self, pid: int) -> None:
        """Until the first process has done its work, or is gone."""
        end = time.monotonic() + self.patience
        while not (self.tmp / "done").exists() and alive(pid) and time.monotonic() < end:
            time.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def prepare(t, node) -> Path:
    """The probe in every image, a network to get a socket in, and the pod's listener."""
    p = subprocess.run(["gcc", "-O1", "-static", "-nostdlib", "-fno-stack-protector", "-fcf-protection=none", "-x", "c", "-o", node.base / "bin/probe", "-"],
                       input=PROBE_C, text=True, capture_output=True)
    t.ok(p.returncode == 0, "the probe is built", p.stderr)
    (node.base / "etc/victim").write_text("xx")
    (node.base / "run/secrets").mkdir(exist_ok=True)
    (node.base / "run/secrets/token").write_text("secret")
    path = node.dir / "agent"
    node.agent = Agent(path)
    return path


def rules_of_the_readme() -> dict[str, dict]:
    """Each of these opened the sandbox, on every runtime and by every way in."""
    mark, restrict, e0, e117 = 0x6B666E6F, "landlock_restrict_self", {"action": ERRNO, "errnoRet": 0}, {"action": ERRNO, "errnoRet": 117}
    return {
        "the mark of prctl is forged": rule("prctl", e117, (0, ("SCMP_CMP_EQ", mark, 0))),
        "the mark, by size": rule("prctl", e117, (0, ("SCMP_CMP_GE", 1000000, 0))),
        "the mark, by its second argument": rule("prctl", e117, (1, ("SCMP_CMP_GE", 1, 0))),
        "landlock_restrict_self succeeds": rule(restrict, e0, (0, ("SCMP_CMP_NE", 0, 0))),
        "landlock_restrict_self succeeds, >= 1": rule(restrict, e0, (0, ("SCMP_CMP_GE", 1, 0))),
        "landlock_restrict_self succeeds, == 3": rule(restrict, e0, (0, ("SCMP_CMP_EQ", 3, 0))),
        "landlock_restrict_self succeeds, flags": rule(restrict, e0, (1, ("SCMP_CMP_GE", 1, 0))),
        "landlock_restrict_self succeeds, says a listener": rule(restrict, {"action": NOTIFY}),
        "PR_SET_SECCOMP succeeds": rule("prctl", e0, (0, ("SCMP_CMP_EQ", 22, 0))),
        "a prctl with a pointer succeeds": rule("prctl", e0, (2, ("SCMP_CMP_GE", 1, 0))),
        "openat2 finds nothing": rule("openat2", {"action": ERRNO, "errnoRet": 2}, (2, ("SCMP_CMP_NE", 0, 0))),
    }


def rows_that_were_open(t, node):
    agent = prepare(t, node)
    node.settings(default="strict", seccomp="none")
    bare = Case(node, policy(), agent, bare=True, patience=DEADLINE).run()
    t.equal(sorted(bare.open), sorted(f"{w}: {x}" for w in ("first process", "exec by file", "exec by arguments") for x in ("wrote to /etc", "has a socket", "reads a secret")),
            "control: without the guard each process writes to /etc, has a socket, and reads the secret")
    bare = Case(node, policy(rule("truncate", {"action": NOTIFY})), agent, bare=True, patience=DEADLINE).run()
    t.ok(node.agent.asked and bare.open, "control: without the guard the pod's listener is asked, and answers", f"{bare.ran} {bare.err}")
    for what, r in rules_of_the_readme().items():
        for level in LEVELS if sys.argv[1:2] == ["all"] else LEVELS[::2]:
            node.settings(default="strict", seccomp=level)
            c = Case(node, policy(r), agent).run()
            t.equal(c.open, [], f"level {level}: {what}: refused or sandboxed ({', '.join(c.ran) or 'nothing ran'})")


def a_listener_for_everything(t, node):
    agent = prepare(t, node)
    for what, rules in {"everything": [], "everything but what starts a process": [{"names": ["execve", "write", "close", "exit_group"], "action": ALLOW}]}.items():
        node.settings(default="strict", seccomp="none")
        c = Case(node, policy(*rules, defaultAction=NOTIFY), agent, patience=DEADLINE).run()
        t.ok(not c.open and not c.ran and "launcher needs" in c.err, f"a listener that is asked about {what}: refused", f"{c.open} {c.ran} {c.err}")


def a_listener_that_a_pod_names(t, node):
    """What the guard keeps in an annotation a pod can write there itself: a policy, as it may, and no socket of the node's for the runtime to connect to."""
    agent = prepare(t, node)
    node.settings(default="strict", seccomp="restricted")
    ask = {"action": NOTIFY}
    for what, seccomp in {"about one call": policy(rule("sync", ask)), "about one call, if": policy(rule("sethostname", ask, (0, ("SCMP_CMP_GE", 1, 0)))),
                          "about all but what is allowed": policy({"names": launcher_calls(), "action": ALLOW}, defaultAction=NOTIFY),
                          "about nothing": policy(listenerPath=str(agent)), "with its words": policy(rule("sync", ask), listenerMetadata="words")}.items():
        c = Case(node, seccomp, agent, patience=DEADLINE, annotated=True).run()
        t.ok(not c.ran and "is the guard's own" in c.err and not node.agent.connected, f"a listener {what}, in the annotation: refused", f"{c.ran} {c.err} {node.agent.connected}")
    c = Case(node, policy(rule("sync", ask)), agent, patience=DEADLINE).run()
    t.ok(c.ran and node.agent.connected, "control: the runtime connects to the listener of the node's own policy", f"{c.err}")
    c = Case(node, policy(rule("mkdir", {"action": ERRNO})), agent, patience=DEADLINE, annotated=True).run()
    t.ok("is the guard's own" not in c.err, "a policy without one is taken, and restricts the pod alone", c.err)


def honest_policies_run(t, node):
    """Not everything is refused: what lets the launcher's calls pass, or does not ask a listener, runs."""
    agent, calls = prepare(t, node), launcher_calls()
    everyone = ["first process", "exec by file", "exec by arguments"]
    for what, seccomp in {
        "a policy that allows everything": policy(),
        "rules that allow and log the launcher's calls": policy(rule("prctl", {"action": LOG}), {"names": calls, "action": ALLOW}),
        "a listener for a call that is not the launcher's": policy(rule("sethostname", {"action": NOTIFY})),
        "the launcher's calls denied, but for what the workload needs": policy({"names": [c for c in calls if c.startswith("landlock") or c in ("prlimit64", "fstatfs", "statmount")], "action": ERRNO}),
    }.items():
        node.settings(default="strict", seccomp="restricted")
        c = Case(node, seccomp, agent, patience=DEADLINE).run()
        t.ok(c.open == [] and c.ran == everyone, f"{what}: runs, sandboxed", f"{c.open} {c.ran} {c.err}")


def every_lie(t, node):
    """call x answer x condition x level, in an order that KF_SEED decides; each call with each answer and no condition comes first."""
    agent, calls, start = prepare(t, node), launcher_calls(), time.monotonic()
    everything = [(c, a, cond, level) for c in calls for a in LIES for level in LEVELS for cond in [None] + [(i, k) for i in range(6) for k in CONDITIONS]]
    rnd = random.Random(f"{SEED}{node.name}")
    rnd.shuffle(everything)
    everything.sort(key=lambda x: x[2] is not None)  # stable
    budget = SECONDS_MAX if sys.argv[1:2] == ["all"] else None
    if budget is None:  # a lie for each call, then any
        rnd.shuffle(everything)
        first = {c: x for x in reversed(everything) for c in [x[0]]}
        everything = list(first.values())[:QUICK]
    wrong, done, ran = [], 0, 0
    for call, answer, condition, level in everything:
        if budget and time.monotonic() - start > budget / len(runtimes("all")):
            break
        node.settings(default="strict", seccomp=level)
        r = rule(call, answer, *([condition] if condition else []))
        c = Case(node, policy(r), agent).run()
        done += 1
        ran += len(c.ran)
        if c.open:
            wrong.append(f"{level} {json.dumps(r)}: {c.open}")
    t.ok(not wrong, f"{done} of {len(calls) * len(LIES) * len(LEVELS) * (1 + 6 * len(CONDITIONS))} policies, seed {SEED}: {ran} processes ran, all sandboxed", "\n".join(wrong))


if __name__ == "__main__":
    main([rows_that_were_open, a_listener_for_everything, a_listener_that_a_pod_names, honest_policies_run, every_lie])
