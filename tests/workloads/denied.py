# SPDX-License-Identifier: Apache-2.0
"""What does not run under the seccomp levels, and what to do instead; the table in docs/seccomp.md.

Each script passes without us and under the profile without a level, fails under the levels that are named and passes under the others;
"instead" passes under restricted.
"""
import os
from typing import NamedTuple

from matrix import ROOT, USER

DOC = f"{os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))}/docs/seccomp.md"
BEGIN, END = "<!-- begin: written by tests/workloads/run docs -->\n", "<!-- end -->\n"
STRICT = ("restricted", "agent")
ALL = ("runtime-default", *STRICT)


class Row(NamedTuple):
    what: str
    levels: tuple
    why: str
    remedy: str
    script: str
    instead: str | None = None
    user: str = ROOT
    landlock: bool = False  # the profile alone refuses it as well, without any level


HELLO = "cd $(mktemp -d) && gcc -g -o hello /opt/app/hello.c && "
DEBUGGER = 'level `runtime-default` for that profile (`"seccomp": "runtime-default"` in its JSON)'
CHROMIUM = ("cd $(mktemp -d) && export HOME=$PWD && echo '<p id=kf>seen</p>' >a.html && "
            "timeout 120 chromium --headless --disable-gpu --disable-dev-shm-usage %s --dump-dom file://$PWD/a.html 2>err | grep seen || { cat err >&2; false; }")
FIO = "cd $(mktemp -d) && fio --name=a --ioengine=%s --rw=randrw --size=1M --filename=$PWD/f --output=/dev/null"
FILTER = r"""cd $(mktemp -d) && cat >f.c <<'E'
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int c, char **v)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog p = {1, &all};
	long r;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	r = c > 1 ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p);
	if (r)
		perror("filter");
	return r != 0;
}
E
gcc -o f f.c && """
JVM = ("cd $(mktemp -d) && cp /opt/app/Wait.java . && javac -g Wait.java && (java -Xmx64m Wait wait >log & echo $! >pid) && p=$(cat pid) && "
       "until grep -q ready log; do kill -0 $p; sleep 0.1; done; r=0; %s >out 2>&1 || r=1; kill $p; cat out >&2; [ $r = 0 ] && grep Wait.main out")
# A 32-bit program that needs no library: exit(0) through int 0x80.
BITS32 = """cd $(mktemp -d) && printf '.globl _start\\n_start: mov $1,%%eax\\n xor %%ebx,%%ebx\\n int $0x80\\n' >a.s && as --32 -o a.o a.s && ld -m elf_i386 -o a a.o && ./a"""

ROWS = (
    Row("`strace`", STRICT, "`ptrace`", DEBUGGER, "strace -f -o /dev/null true"),
    Row("`gdb`", STRICT, "`ptrace`", DEBUGGER, HELLO + "gdb -batch -ex 'break main' -ex run -ex bt -ex continue ./hello </dev/null | grep 'exited normally'"),
    Row("`delve`", STRICT, "`ptrace`", DEBUGGER, "cd $(mktemp -d) && export HOME=$PWD && cp /opt/app/hello.go . && go build -gcflags='-N -l' hello.go && "
        "printf 'break main.main\\ncontinue\\ncontinue\\nexit\\n' >i && dlv exec ./hello --check-go-version=false --allow-non-terminal-interactive=true <i 2>&1 | grep 'exited with status 0'"),
    Row("`jhsdb`", STRICT, "`ptrace`", "`jdb`, `jcmd`, `jstack PID`: they ask the JVM itself", JVM % "jhsdb jstack --pid $p", JVM % "jstack $p", USER),
    Row("LeakSanitizer", STRICT, "`ptrace`", "`ASAN_OPTIONS=detect_leaks=0`", "cd $(mktemp -d) && gcc -fsanitize=address -o hello /opt/app/hello.c && ./hello",
        "cd $(mktemp -d) && gcc -fsanitize=address -o hello /opt/app/hello.c && ASAN_OPTIONS=detect_leaks=0 ./hello"),
    Row("Chromium's own sandbox", ALL, "new user namespaces, which the profile's read-only `/proc` refuses to set up too; `seccomp(2)` as well under `restricted`",
        "`--no-sandbox`: the container is the sandbox", CHROMIUM % "", CHROMIUM % "--no-sandbox", USER, landlock=True),
    Row("filters added with `seccomp(2)`, as codex's Landlock mode does", ("restricted",), "`seccomp(2)`",
        "level `agent`, as the profile `codex` asks for; `prctl(PR_SET_SECCOMP)` works at every level", FILTER + "./f", FILTER + "./f prctl"),
    Row("bubblewrap", ALL, "`clone` with namespaces, `mount`; Landlock refuses mounts too, whatever the level", "none inside the sandbox: switch off the tool's own sandbox",
        "bwrap --ro-bind / / true", user=USER, landlock=True),
    Row("`unshare`, rootless podman, buildah, nested containers", ALL, "`unshare` and `clone` with namespaces; the profile's read-only `/proc` too",
        "none inside the sandbox", "unshare -Ur true", user=USER, landlock=True),
    Row("io_uring", ALL, "`io_uring_setup`", "the program's switch for libaio or epoll; most fall back by themselves", FIO % "io_uring", FIO % "libaio"),
    Row("32-bit programs on x86_64", ALL, "the native ABI only", "64-bit builds", BITS32),
    Row("`setarch -R`: no address randomisation", ALL, "`personality`", "none; `gdb` and `delve` go on without it", "setarch -R true"),
    Row("`perf`", ALL, "`perf_event_open`", "not in a sandboxed pod", "perf stat -e task-clock:u true"),
    Row("`numactl` and other memory policies", ALL, "`set_mempolicy`, `mbind`", "not in a sandboxed pod", "numactl --interleave=all true"),
)


def table() -> str:
    lines = ["| what | does not run under | why | remedy |", "|---|---|---|---|"]
    lines += [f"| {r.what} | {'all' if r.levels == ALL else ', '.join(r.levels)} | {r.why} | {r.remedy} |" for r in ROWS]
    return "\n".join(lines) + "\n"


def document(text: str) -> str:
    """docs/seccomp.md with this table in its place."""
    head, rest = text.split(BEGIN)
    return head + BEGIN + table() + END + rest.split(END, 1)[1]
