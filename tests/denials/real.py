#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""real.py quick|all: denials of real containers in the kernel's own audit log.  "all": the whole attack matrix beside 50
containers that are denied something all the time."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import feed as f
from feed import DEADLINE, Feed, Node, auditlog, box, wait_until
from lib_guard import own_mount_namespace
from tap import Tap

from lib import ocsf  # noqa: E402

import attacks  # noqa: E402

ALL = len(sys.argv) > 1 and sys.argv[1] == "all"
NOISY = 50 if ALL else 3
ROWS = attacks.ROWS if ALL else [r for r in attacks.ROWS if r[0] in (
    "write_etc", "create_root", "unlink_etc", "rename_out", "through_proc_root", "make_char", "tcp_connect", "exec_written", "unix_abstract", "stat_key")]
# What is refused and not by the sandbox.
SILENT = {"set_uid": "no_new_privs", "exec_memfd": "a memory file that may not be executed"}


def comm(row: str) -> str:
    """A name for the program of each row, which the kernel cuts at 15 bytes."""
    return (row[:14] + "_")[:15]


def target(node: Node, things: attacks.Target, name: str) -> str:
    """A container with something to attack everywhere, and a process outside its sandbox."""
    b = node.bundle(["sleep", "1000000"])
    shutil.rmtree(b.rootfs)
    os.rename(things.rootfs(), b.rootfs)
    for row in ROWS:
        if not (b.rootfs / "bin" / comm(row[0])).exists():
            os.link(b.rootfs / "bin/attack", b.rootfs / "bin" / comm(row[0]))
    (b.rootfs / "work").mkdir(exist_ok=True)
    b.config["linux"]["readonlyPaths"] = []
    b.config["process"]["capabilities"] = {k: box.available_caps() for k in ("bounding", "effective", "permitted")}
    cid = f.start(node, b, name)
    said = f.enter(node, cid, ["/bin/attack", "target"], "ready", caps=box.available_caps(), bare=True)
    if "ready" not in said:
        raise RuntimeError(said)
    return cid


# Thirty denials a second each: next to nothing for the machine.
NOISE = r"""
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void)
{
	char path[32];
	for (unsigned i = 0;; i++) {
		snprintf(path, sizeof(path), "/bin/n%u", i % 7);
		(void)open("/etc/noise", O_CREAT | O_WRONLY, 0600);
		(void)open("/proc/1/mem", O_RDWR);
		(void)open(path, O_CREAT | O_WRONLY, 0600);
		usleep(100000);
	}
}
"""


def make_noise(node: Node, n: int) -> list[str]:
    """Containers that are denied the same and different things all the time."""
    program = f.compile_c(NOISE, node.dir / "noise")
    return [f.start(node, node.bundle(["/bin/noise"], image={"/bin/noise": program}, cwd="/"), f"noisy-{i}") for i in range(n)]


def by_seccomp(row: tuple, profile: str) -> bool:
    """Whether seccomp refuses it: such a call is known to be of a container by the process that entered it."""
    want = row[3 if profile == "strict" else 2]
    return row[0] not in SILENT and (want == "EPERM" and row[0] not in SCOPES or profile == "strict" and want == "EACCES" and row[0] in NETWORK)


def matrix(t: Tap) -> None:
    for profile in ("default", "strict"):
        attack(t, profile)


def attack(t: Tap, profile: str) -> None:
    node, things = Node(shutil.which("runc")), attacks.Target()
    feed = Feed()
    try:
        node.settings(default=profile, log="seccomp-log on\n")
        start = time.monotonic()
        noisy = make_noise(node, NOISY)
        cid = target(node, things, "victim")
        print(f"# {profile}: {NOISY} noisy containers and one more in {time.monotonic() - start:.0f} s", flush=True)
        first = [row[0] for row in ROWS if not by_seccomp(row, profile)]
        start, caps = time.monotonic(), box.available_caps()
        # One process enters for all rows that Landlock decides, and one for each that seccomp does.
        script = "; ".join(f"/bin/{comm(row)} {row}" for row in first) + "; echo all done"
        said = f.enter(node, cid, ["/bin/sh", "-c", script], "all done", caps=caps)
        # The runtime's own policy refuses some besides.
        more = [row for row in first if f"{row} EPERM\n" in said and row not in (*SILENT, *SCOPES)]
        alone = [row[0] for row in ROWS if row[0] not in first or row[0] in more]
        said += "".join(f.enter(node, cid, [f"/bin/{comm(row)}", "alone", row], f"{row} ", caps=caps) for row in alone)
        answers = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
        print(f"# {profile}: {len(ROWS)} rows in {time.monotonic() - start:.0f} s", flush=True)
        judge(t, profile, feed, answers, alone)
        pods = {x["pod"] for x in feed.ours()}
        t.equal(pods, {"victim", *(f"noisy-{i}" for i in range(NOISY))}, f"{profile}: the others have theirs")
        m = feed.metrics()
        t.equal(m["kubefence_denials_unreadable_total"], 0, f"{profile}: every record can be read")
        print(f"# {feed_summary(m)}")
        for c in (cid, *noisy):
            node.delete(c)
        t.equal(feed.stop(), 0, f"{profile}: it ends in order")
        noise = [x["count"] for x in feed.ours() if x["pod"].startswith("noisy-")]
        t.ok(sum(noise) > len(noise), f"{profile}: what is denied over and over is folded", (sum(noise), len(noise)))
    finally:
        node.close()
        things.close()
        feed.close()


def judge(t: Tap, profile: str, feed: Feed, answers: dict, alone: list[str]) -> None:
    wrong, late, n = [], [], 0
    for row, what, *_ in ROWS:
        answer = answers.setdefault(row, "nothing")
        refused = answer in ("EACCES", "EXDEV", "EPERM") and row not in SILENT
        n += refused
        if refused:
            wait_until(lambda row=row: feed.of(comm(row)), f"{row}: {answer}")
        told = feed.of(comm(row))
        if refused and row in alone:
            calls = [x["syscall"] for x in told if x["kind"] == "syscall"]
            t.ok(calls and len(calls) == len(set(calls)), f"{profile}: seccomp's refusal is told once: {what}", told)
        elif refused:
            told = [x for x in told if x["kind"] != "syscall"]
            t.ok(len(told) == 1 and told[0]["count"] == 1, f"{profile}: it is told once: {what}", told)
        elif answer == "ok":
            t.equal([x["what"] for x in told if x["kind"] != "syscall"], [], f"{profile}: what is allowed is not told: {what}")
        wrong += [x for x in told if (x["namespace"], x["pod"], x["container"], x["profile"]) != ("space", "victim", "main", profile)]
        late += [(row, f.delay(x)) for x in told if f.delay(x) > 1]
    t.ok("nothing" not in answers.values() and n >= (25 if ALL else 5), f"{profile}: control: there is something to tell", answers)
    t.equal(wrong, [], f"{profile}: each is attributed to its pod, container and profile")
    t.equal(late, [], f"{profile}: each is told within a second, beside {NOISY} noisy containers")
    delays = sorted(f.delay(x) for x in feed.ours() if x["pod"] == "victim")
    print(f"# {profile}: told after {delays[len(delays) // 2] * 1000:.0f} ms in the middle, {delays[-1] * 1000:.0f} ms at most", flush=True)


SCOPES = {"unix_abstract"}  # refused by Landlock, too
NETWORK = {"tcp_connect", "tcp_listen", "tcp6", "udp", "udp_send", "udp_mapped", "udp_elsewhere", "udp_listen", "raw", "mptcp", "packet", "vsock",
           "netlink_uevent", "received_tcp", "received_udp"}


def short_lives(t: Tap) -> None:
    """Processes and containers that are gone before anybody could look."""
    node, feed = Node(shutil.which("runc")), Feed()
    try:
        cid = f.start(node, node.bundle(["sleep", "1000000"]), "short")
        for i in range(5):
            name = f"busybox.{i}"  # it runs what its first argument names
            shutil.copy(node.base / "bin/busybox", node.dir / f"bundles/b1/rootfs/bin/{name}")
            f.enter(node, cid, [f"/bin/{name}", "touch", f"/etc/x{i}"])
        for i in range(5):
            told = wait_until(lambda i=i: feed.of(f"busybox.{i}"), "the denial")
            t.equal([(x["pod"], x["what"], x["count"]) for x in told], [("short", "create", 1)], f"an exec that is gone at once: {i}")
        node.delete(cid)
        briefly(t, node, feed)
        for i in range(3):
            b = node.bundle(["sh", "-c", f"exec /bin/busybox-{i} touch /etc/y"], image={f"/bin/busybox-{i}": (node.base / "bin/busybox").read_bytes()})
            once = f.start(node, b, f"once-{i}")
            wait_until(lambda b=b: not f.alive(int((b.dir / "init.pid").read_text())), "its end")
            node.delete(once)
            told = wait_until(lambda i=i: feed.of(f"busybox-{i}"), "the denial")
            t.equal([(x["pod"], x["what"]) for x in told], [(f"once-{i}", "create")], f"a container that is gone at once: {i}")
    finally:
        node.close()
        feed.close()


BRIEF = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(void)
{
	for (unsigned i = 0; i < 20; i++) {
		struct timespec a, b;
		char name[16];
		pid_t pid;
		clock_gettime(CLOCK_MONOTONIC, &a);
		pid = fork();
		if (pid == 0) {
			snprintf(name, sizeof(name), "brief-%u-", i);
			prctl(PR_SET_NAME, name);
			_exit(open("/etc/brief", O_CREAT | O_WRONLY, 0600) >= 0);
		}
		waitpid(pid, NULL, 0);
		clock_gettime(CLOCK_MONOTONIC, &b);
		printf("%ld ", (b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
	}
	puts("done");
	return 0;
}
"""


def briefly(t: Tap, node: Node, feed: Feed) -> None:
    """Processes that are denied one thing and end, none of which the guard has seen."""
    b = node.bundle(["sleep", "1000000"], image={"/bin/brief": f.compile_c(BRIEF, node.dir / "brief")})
    cid = f.start(node, b, "brief")
    lives = [int(x) for x in f.enter(node, cid, ["/bin/brief"], "done").split()[:-1]]
    # One that comes before the feed knows whose its sandbox is waits, and is told behind others.
    wait_until(lambda: all(feed.of(f"brief-{i}-") for i in range(20)), "a denial of each")
    told = [(x["process"], x["pod"], x["what"], x["count"]) for x in feed.ours() if x["process"].startswith("brief-")]
    t.equal(sorted(told), sorted((f"brief-{i}-", "brief", "create", 1) for i in range(20)), "processes that lived a millisecond: each is told")
    t.ok(min(lives) < 1000, "... they did", f"{lives} us")
    print(f"# they lived {min(lives)} to {max(lives)} us")
    node.delete(cid)


def learned(t: Tap) -> None:
    """The profile that a pod needs, from what the feed of its node has kept."""
    node, feed = Node(shutil.which("runc")), Feed()
    try:
        cid = f.start(node, node.bundle(["sleep", "1000000"], image={"/srv/data": None}), "pupil")
        f.enter(node, cid, ["sh", "-c", "echo x >/srv/data/x; echo x >/etc/x"])
        wait_until(lambda: len(feed.of("sh")) == 2, "both denials")

        def learn(directory: str, pod: str) -> subprocess.CompletedProcess:
            return subprocess.run([f.KUBEFENCE, "learn", "--pod", pod, "-n", "space", "--directory", directory, "--to", "learned.json"],
                                  cwd=node.dir, capture_output=True, text=True)

        p = learn(f"{node.dir}/nothing", "pupil")
        t.ok(p.returncode == 1 and "'kubefence denials' run on this node" in p.stderr and "kubectl nono suggest pupil" in p.stderr,
             "learn --pod where no feed runs: says so, and what to do", p)
        p = learn(feed.kept, "nobody")
        t.ok(p.returncode == 1 and "no denial of pod nobody" in p.stderr, "learn --pod of one that was denied nothing is an error", p)
        p = learn(feed.kept, "pupil")
        t.ok(p.returncode == 0 and "left out: /etc: " in p.stderr, "learn --pod: what no profile may grant is left out, and told", p)
        got = json.loads((node.dir / "learned.json").read_text())
        t.equal((got["extends"], [g["path"] for g in got["filesystem"]["grant"]]), ("default", ["/srv/data"]), "... the rest is what it was denied")
        node.delete(cid)
        # What others are denied all the time must not keep it from seeing the end.
        noise, = make_noise(node, 1)
        wait_until(lambda: any(x.get("pod") == "noisy-0" for x in feed.ours()), "the noise")
        enforced(t, node)
        node.delete(noise)
        flooded(t, node)
    finally:
        node.close()
        feed.close()


def framework(t: Tap) -> None:
    """Denials as events of the Open Cybersecurity Schema Framework."""
    node = Node(shutil.which("runc"))
    feed = subprocess.Popen([f.KUBEFENCE, "denials", "-o", "ocsf", "--directory", str(node.dir / "kept")], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
    try:
        for line in feed.stderr:
            if "started" in line:
                break
        cid = f.start(node, node.bundle(["sleep", "1000000"]), "framework")
        f.enter(node, cid, ["sh", "-c", "echo x >/etc/x"], bare=False)
        for line in feed.stdout:
            event = json.loads(line)
            if any(r.get("name") == "framework" for r in event["resources"]):
                break
        want = {"category_uid": 2, "class_uid": 2004, "type_uid": 200401, "activity_id": 1, "disposition_id": 2, "count": 1}
        t.equal({k: event[k] for k in want}, want, "a denial is a finding that was blocked")
        t.equal((event["resources"][0]["namespace"], event["evidences"][0]["process"]["name"], event["evidences"][0]["file"]["path"],
                 event["policy"]["name"]), ("space", "sh", "/etc", "default"), "... of this pod, process, place and profile")
        t.equal((ocsf.faults(event), ocsf.control(event)), ([], []), "... against which the framework's own schema has nothing, as it has against wrong ones")
        node.delete(cid)
    finally:
        feed.terminate()
        feed.wait()
        node.close()


def enforced(t: Tap, node: Node) -> None:
    """learn --enforce: a command is run in the sandbox, and what it was denied is learned from."""
    def run(command: str, profile: str, script: str) -> subprocess.CompletedProcess:
        to = ("--to", "enforced.json", "--enforce") if command == "learn" else ()
        return subprocess.run([f.KUBEFENCE, command, "--profile", profile, *to, "--rootfs", node.base, "--", "sh", "-c", script],
                              cwd=node.dir, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)

    (node.base / "srv/data").mkdir(parents=True)
    script = "echo x >/srv/data/x && echo done; echo x >/etc/x; exit 3"
    p = run("learn", "strict", script)
    t.ok(p.returncode == 3 and "done" not in p.stdout and "left out: /etc: " in p.stderr, "learn --enforce: the command is denied, and has its exit status", p)
    got = json.loads((node.dir / "enforced.json").read_text())
    t.equal((got["extends"], [g["path"] for g in got["filesystem"]["grant"]]), ("strict", ["/srv/data"]), "... what it was denied is learned")
    t.ok("done" in run("try", "./enforced.json", script).stdout, "... which is enough")
    (node.dir / "enforced.json").unlink()
    (node.dir / "hosts.json").write_text(json.dumps({"extends": "default", "network": {"allow_domain": ["ok.test"]}}))
    p = run("learn", "./hosts.json", "wget -q -O - http://other.test:8080/; echo x >/etc/x")
    got = json.loads((node.dir / "enforced.json").read_text())
    t.equal((got["extends"], got["network"]["allow_domain"]), ("hosts", [{"domain": "other.test", "ports": [8080]}]), "... a host that the broker refused as well")
    (node.dir / "enforced.json").unlink()
    p = run("learn", "strict", "echo done")
    t.ok(p.returncode == 0 and "nothing was denied under strict" in p.stderr and not (node.dir / "enforced.json").exists(), "... of nothing, nothing is written", p)


def flooded(t: Tap, node: Node) -> None:
    """learn --enforce beside so many denials that the kernel loses records: it never takes what it has for all there was."""
    now = auditlog.status()
    said = {"whole": 0, "some": 0, "unknown": 0}
    script = "i=0; while [ $i -lt 50 ]; do echo x >/srv/data/x; i=$((i + 1)); done; echo x >/etc/x"
    noise = f.start(node, node.bundle(["sh", "-c", "while :; do echo x >/etc/x; done 2>/dev/null"]), "flooding")
    try:
        auditlog.set_status(1, 1, 0)  # of records that wait to be sent
        for i in range(5):
            to = node.dir / f"flooded{i}.json"
            p = subprocess.run([f.KUBEFENCE, "learn", "--profile", "strict", "--to", to.name, "--enforce", "--rootfs", node.base, "--", "sh", "-c", script],
                               cwd=node.dir, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
            if "left out: /etc: " in p.stderr and "/srv/data" in to.read_text():
                said["whole"] += 1
            elif to.exists():
                said["some"] += "what is written may lack something" in p.stderr
            else:
                said["unknown"] += p.returncode != 0 and "what was denied is not known" in p.stderr
    finally:
        auditlog.set_status(1, now["limit"], now["wait"])
        node.delete(noise)
    t.ok(sum(said.values()) == 5, "learn --enforce while records are lost: what it has is whole, or it says that it is not", (said, p))
    t.ok(said["some"] + said["unknown"], "control: records were lost", said)


def restart(t: Tap) -> None:
    """The kernel tells once whose sandbox it is; the next reader has to know it all the same."""
    node, feed = Node(shutil.which("runc")), Feed()
    try:
        cid = f.start(node, node.bundle(["sh", "-c", "while :; do cat /tmp/go 2>/dev/null && echo x >/etc/again; sleep 0.05; done"]), "stays")
        wait_until(lambda: feed.metrics()["kubefence_denials_proofs_total"], "the sandbox")
        t.equal(feed.stop(), 0, "the feed ends")
        feed.start()
        (node.dir / "bundles/b1/rootfs/tmp/go").write_text("")
        told = wait_until(feed.ours, "a denial after a restart")
        t.equal((told[0]["pod"], told[0]["what"]), ("stays", "create"), "after a restart a denial has its pod")
        node.delete(cid)
    finally:
        node.close()
        feed.close()


def writer_killed(t: Tap) -> None:
    """Without the process that writes Events there would be none any more, and the confined feed cannot start another."""
    feed = Feed("--events", env={"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"})
    try:
        writer, = Path(f"/proc/{feed.process.pid}/task/{feed.process.pid}/children").read_text().split()
        os.kill(int(writer), signal.SIGKILL)
        t.equal(feed.process.wait(DEADLINE), 1, "the process that writes Events is killed: the feed ends with status 1, to be started again")
        t.ok("the process that writes Events has ended" in feed.said(), "... and says why", feed.said())
        feed.reader.join()
        feed.start()
        t.equal(feed.stop(), 0, "... which it can be")
    finally:
        feed.close()


def many_known(t: Tap) -> None:
    """A feed that starts on a full node reads what the guard noted once, not once for each sandbox that it knows."""
    n = 1000
    os.makedirs("/run/kubefence", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "known", "/run/kubefence"], check=True)  # in this namespace
    try:
        records, kept = Path("/run/kubefence/guard"), Path("/run/kubefence/kept")
        for directory in (records, kept):
            directory.mkdir()
        for i in range(n):
            (records / f"record-{i}").write_text(f"root /r\nid {i:064x}\nbundle /b\nruntime /r\nprofile default\nlabel \npid {10_000_000 + i}\n"
                                                 f"namespace many\npod pod-{i}\nuid uid-{i}\ncontainer main\n")
        # One of each container, and as many of containers that are gone.
        sandboxes = {f"{i + 1:x} {20_000_000 + i} {i:064x}" for i in range(2 * n)}
        (kept / "sandboxes").write_text("".join(f"{line}\n" for line in sorted(sandboxes)))
        feed = Feed(directory=str(kept))
        reads = feed.reads()
        m = feed.metrics()
        feed.stop()
        feed.close()
        # Whose a sandbox of another test's is, it may look up some times besides.
        t.ok(n <= reads < 50 * n, f"{n} containers, {2 * n} sandboxes: records are not read for each sandbox", reads)
        t.ok(m["kubefence_denials_sandboxes"] >= 2 * n, "... and all sandboxes are known", m)
        t.equal(set((kept / "sandboxes").read_text().splitlines()), {f"{i + 1:x} {20_000_000 + i} {i:064x}" for i in range(n)},
                "... to be those of the containers that are there, for the feed after it, too")
    finally:
        subprocess.run(["umount", "-l", "/run/kubefence"], check=True)


def late_reader(t: Tap) -> None:
    """Audit is turned on, and the feed started, long after the container: the guard's record says whose it is."""
    node = Node(shutil.which("runc"))
    with auditlog.ours() as before:
        auditlog.set_status(0, before["limit"], before["wait"])
        p = subprocess.run([f.KUBEFENCE, "learn", "--enforce", "--to", f"{node.dir}/x.json", "--", "true"], capture_output=True, text=True)
        t.ok(p.returncode == 1 and "audit log is off" in p.stderr and "--turn-on" in p.stderr, "learn --enforce where the log is off says what to do", p)
        cid = f.start(node, node.bundle(["sh", "-c", "while :; do cat /tmp/go 2>/dev/null && echo x >/etc/late; sleep 0.05; done"]), "early")
        subprocess.run([f.KUBEFENCE, "denials", "--turn-on"], check=True, stdout=subprocess.DEVNULL)
        with open("/run/kubefence/started", "r+b") as started:  # what was noted there is long overwritten
            started.truncate(0)
        feed = Feed()
        try:
            (node.dir / "bundles/b1/rootfs/tmp/go").write_text("")
            told = wait_until(feed.ours, "a denial")
            t.equal(told[0]["pod"], "early", "a container that is older than the log")
            node.delete(cid)
        finally:
            node.close()
            feed.close()


CALLED = r"""
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	if (strcmp(argv[1], "kill") == 0) {
		getpgid(0);
	} else if (strcmp(argv[1], "mount") == 0) {
		while (access("/tmp/go", F_OK))
			usleep(10000);
		mount("x", "/tmp", "tmpfs", 0, 0);
		pause();
	} else
		sched_yield();
	return write(1, "allowed\n", 8) != 8;
}
"""


def seccomp(t: Tap) -> None:
    node, feed = Node(shutil.which("runc")), Feed()
    try:
        for log in ("", "seccomp-log on\n"):
            node.settings(log=log)
            cid = f.start(node, node.bundle(["sleep", "1000000"]), "calls" if log else "silent")
            f.enter(node, cid, ["mount", "-t", "tmpfs", "x", "/tmp"])
            if log:
                told = wait_until(lambda: feed.of("mount"), "a system call that seccomp refused")
                t.equal([(x["pod"], x["kind"], x["syscall"], x["count"]) for x in told], [("calls", "syscall", "mount", 1)],
                        "with seccomp_log a refused call is told, and by its name")
                f.enter(node, cid, ["sh", "-c", "umount /proc; sleep 1 & umount /proc; wait"])
            node.delete(cid)
        t.equal({x["pod"] for x in feed.ours()}, {"calls"}, "without it is not in the log")
        reused(t, node, feed)
        node.settings()
        b = node.bundle(["sleep", "1000000"], image={"/bin/called": f.compile_c(CALLED, node.dir / "called")})
        arch = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[os.uname().machine]
        b.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [arch], "syscalls": [
            {"names": ["getpgid"], "action": "SCMP_ACT_KILL_PROCESS"}, {"names": ["sched_yield"], "action": "SCMP_ACT_LOG"}]}
        cid = f.start(node, b, "killed")
        t.ok("allowed" in f.enter(node, cid, ["/bin/called", "yield"]), "a call that the pod's own policy logs is allowed")
        t.equal(f.enter(node, cid, ["/bin/called", "kill"]), "", "one that it kills for ends the process")
        told = wait_until(lambda: feed.of("called"), "the process that seccomp killed")
        t.equal([(x["pod"], x["kind"], x["syscall"], x["count"]) for x in told], [("killed", "syscall", "getpgid", 1)],
                "SIGSYS is told, whatever seccomp_log says; what is only logged is no denial")
        node.delete(cid)
    finally:
        node.close()
        feed.close()


def reused(t: Tap, node: Node, feed: Feed) -> None:
    """A process has the number of one that entered another container some time ago."""
    b = node.bundle(["/bin/called", "mount"], image={"/bin/called": f.compile_c(CALLED, node.dir / "called")}, cwd="/")
    cid = f.start(node, b, "second")
    pid = int((b.dir / "init.pid").read_text())
    slot = f"{pid}\n{'f' * 64}\nspace\nfirst\nuid-of-first\nmain\ndefault\n{pid}\n".encode().ljust(1024, b"\0")
    with open("/run/kubefence/started", "r+b") as started:
        started.seek(pid % 4096 * 1024)
        started.write(slot)
    (b.rootfs / "tmp/go").write_text("")
    told = wait_until(lambda: feed.of("called"), "a system call that seccomp refused")
    t.equal([(x["pod"], x["pid"], x["syscall"]) for x in told], [("second", pid, "mount")], "whose number it had before is not blamed")
    node.delete(cid)
    feed.told = [x for x in feed.told if x["process"] != "called"]


FLOOD = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct timespec a, b;
	long n = atol(argv[1]);
	char path[64];
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (long i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/etc/flood%ld", argc > 2 ? i : 0);
		if (open(path, O_CREAT | O_WRONLY, 0600) >= 0)
			return 1;
		if (i % 20000 == 19999 && write(1, ".", 1) != 1)
			return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf(" denied %ld in %.3f s\n", n, b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9);
	return 0;
}
"""


def flood(t: Tap) -> None:
    n = 1_000_000 if ALL else 10_000
    node, feed = Node(shutil.which("runc")), Feed()
    try:
        b = node.bundle(["sleep", "1000000"], image={"/bin/flood": f.compile_c(FLOOD, node.dir / "flood")})
        node.profile("flood", "fs rx-root", "fs rw /tmp")
        node.settings(default="flood")
        cid = f.start(node, b, "flood")
        before, start = feed.memory(), time.monotonic()
        said = f.enter(node, cid, ["/bin/flood", str(n), "different"], "denied").strip(".\n ")
        took = time.monotonic() - start
        t.ok(f"denied {n}" in said, "a program is denied as fast as it can ask", said)
        node.delete(cid)
        key = 'kubefence_denials_total{profile="flood",kind="file"}'

        def count() -> int:
            return sum(x["count"] for x in feed.lines() if x["profile"] == "flood")

        # The kernel's own count comes with the end of the sandbox.
        m = wait_until(lambda: (m := feed.metrics()).get(key, 0) + m["kubefence_denials_unseen_total"] >= n and m, "the kernel's own count")
        peak, cpu = feed.memory(), feed.cpu()
        # What is folded, and what was lost, is told when the feed ends at the latest.
        feed.stop()
        ours = [x for x in feed.lines() if x["profile"] == "flood"]
        denied, told = m[key], count()
        lost = sum(x["count"] for x in ours if x.get("what") == "more")
        print(f"# {n} denials in {took:.1f} s ({said}); {feed_summary(m)}; {len(ours)} lines, of which 'more' {lost}; "
              f"memory {before} KiB, then {peak} KiB; CPU {cpu:.1f} s")
        t.ok(denied <= n, "none is counted twice", m)
        t.equal(told + m["kubefence_denials_untold_total"], n, "sent == told + folded + counted as lost: every single one")
        t.ok(len(ours) < 2000, "lines are few", len(ours))
        t.ok(peak < 64 * 1024, "memory stays below 64 MiB", peak)
    finally:
        node.close()
        feed.close()


LOAD = r"""
#include <fcntl.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	for (;;)
		close(open(argv[1], O_CREAT | O_WRONLY, 0600));
}
"""


def delayed(t: Tap) -> None:
    """Whether a flood holds up who starts a container meanwhile: nobody waits for the log, by the kernel's own account.  What a
    start takes is measured by turns beside a program that is denied all the time, and one that is not; it is for people."""
    node, feed = Node(shutil.which("runc")), Feed()
    try:
        program = f.compile_c(LOAD, node.dir / "load")
        pids = {}
        for what, path in (("denied", "/etc/x"), ("allowed", "/tmp/x")):
            b = node.bundle(["/bin/load", path], image={"/bin/load": program})
            f.start(node, b, what)
            pids[what] = int((b.dir / "init.pid").read_text())
            os.kill(pids[what], signal.SIGSTOP)
        b = node.bundle(["sleep", "1000000"])
        f.pod(b, "created")
        b.write()
        took: dict[str, list[float]] = {"denied": [], "allowed": []}
        before, since = auditlog.status()["waited"], sum(x["count"] for x in feed.ours())
        spent = 0.0
        for i in range(40 if ALL else 3):
            for what in ("denied", "allowed") if i % 2 else ("allowed", "denied"):
                os.kill(pids[what], signal.SIGCONT)
                start = time.monotonic()
                cid = node.id()
                r = node.call("create", "--bundle", b.dir, cid)
                end = time.monotonic()
                os.kill(pids[what], signal.SIGSTOP)
                took[what].append(end - start)
                spent += end - start if what == "denied" else 0
                if r.code:
                    raise RuntimeError(r.err)
                node.delete(cid)
        t.equal(auditlog.status()["waited"], before, "a flood beside it: nobody waited for the audit log")
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: feed.metrics()["kubefence_denials_unseen_total"] + sum(
            v for k, v in feed.metrics().items() if k.startswith("kubefence_denials_total")) > since, "the denials to be counted")
        feed.stop()
        n = sum(x["count"] for x in feed.ours() if x["pod"] == "denied")
        denied, allowed = (sorted(took[x])[len(took[x]) // 2] for x in ("denied", "allowed"))
        pairs = sorted(a - b for a, b in zip(took["denied"], took["allowed"]))
        print(f"# create beside {n / spent:.0f} denials a second: {denied * 1000:.1f} ms, beside as many calls that are allowed: {allowed * 1000:.1f} ms, "
              f"ratio {denied / allowed:.3f}; difference of a pair {pairs[len(pairs) // 2] * 1000:+.1f} ms in the middle of {len(pairs)}", flush=True)
        t.ok(n > 0, "control: there was a flood", n)
    finally:
        node.close()
        feed.close()


def waits(t: Tap) -> None:
    """Control: with the kernel's default, which --turn-on changes, the same flood does wait."""
    node, now = Node(shutil.which("runc")), auditlog.status()
    try:
        b = node.bundle(["sleep", "1000000"], image={"/bin/flood": f.compile_c(FLOOD, node.dir / "flood")})
        cid = f.start(node, b, "waits")
        auditlog.set_status(1, 64, 6000)
        for _ in range(20):  # whether it does depends on who runs when
            f.enter(node, cid, ["/bin/flood", "20000", "different"], "denied")
            if auditlog.status()["waited"] > now["waited"]:
                break
        t.ok(auditlog.status()["waited"] > now["waited"], "control: with the kernel's own limits the one who is denied waits", auditlog.status())
        node.delete(cid)
    finally:
        auditlog.set_status(1, now["limit"], now["wait"])
        node.close()


def feed_summary(m: dict) -> str:
    return ", ".join(f"{k.removeprefix('kubefence_denials_')} {v}" for k, v in m.items() if v)


def memory(t: Tap) -> None:
    """The bound itself: many containers, many different denials, and many sandboxes."""
    node, feed = Node(shutil.which("runc")), Feed()
    try:
        b = node.bundle(["sleep", "1000000"], image={"/bin/flood": f.compile_c(FLOOD, node.dir / "flood")})
        cid = f.start(node, b, "flood")
        high = []
        for _ in range(4):
            f.enter(node, cid, ["/bin/flood", "200000" if ALL else "5000", "different"], "denied")
            high.append(feed.memory())
        t.ok(high[-1] < 64 * 1024, "memory stays below 64 MiB", high)
        t.ok(high[-1] - high[1] < 2048, "and does not grow with the number of denials", high)
        node.delete(cid)
    finally:
        node.close()
        feed.close()


def main() -> int:
    t = Tap()
    own_mount_namespace()
    if box.landlock_abi() < 7:
        t.skip("denials in the audit log", "the kernel's Landlock logs none (ABI 7, Linux 6.15, does)")
        return t.done()
    cases = [short_lives, learned, framework, restart, writer_killed, many_known, seccomp, flood, memory, delayed, waits, matrix]
    floods = [flood, memory, delayed, waits]
    wanted = sys.argv[2:]
    try:
        with f.turned_on():
            for case in cases:
                if not wanted or case.__name__ in wanted:
                    with contextlib.nullcontext() if case in floods else f.roomy():
                        t.case(case.__name__, case, t)
        if not wanted or "late_reader" in wanted:
            t.case("late_reader", late_reader, t)
    except auditlog.Unavailable as e:
        t.skip("denials in the audit log", str(e))
    return t.done()


if __name__ == "__main__":
    sys.exit(main())
