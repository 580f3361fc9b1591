#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""real.py quick|all: denials of real containers in the kernel's own audit log.  "all": the whole attack matrix beside 50
containers that are denied something all the time."""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import feed as f
from feed import Feed, Node, auditlog, box, wait_until
from lib_guard import own_mount_namespace
from tap import Tap

import attacks  # noqa: E402

ALL = len(sys.argv) > 1 and sys.argv[1] == "all"
NOISY = 50 if ALL else 3
ROWS = attacks.ROWS if ALL else [r for r in attacks.ROWS if r[0] in (
    "write_etc", "create_root", "unlink_etc", "rename_out", "through_proc_root", "make_char", "tcp_connect", "exec_written", "unix_abstract", "stat_key")]
# What is refused and not by the sandbox: mounts and masks of the container, missing capabilities, no_new_privs.
NOT_OURS = {"EROFS", "EBUSY", "ENOENT", "EIO"}
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


def make_noise(node: Node, n: int) -> list[str]:
    """Containers that are denied the same and different things, some dozen times a second each."""
    script = "i=0; while :; do i=$((i+1)); echo x >/etc/noise; cat /proc/1/environ; true >/bin/n$((i % 7)); sleep 0.1; done"
    return [f.start(node, node.bundle(["sh", "-c", script], **{"cwd": "/"}), f"noisy-{i}") for i in range(n)]


def matrix(t: Tap, profile: str) -> None:
    node, things = Node(shutil.which("runc")), attacks.Target()
    feed = Feed()
    try:
        node.settings(default=profile, log="seccomp-log on\n")
        noisy = make_noise(node, NOISY)
        cid = target(node, things, "victim")
        late, wrong = [], []
        for row, what, *_ in ROWS:
            said = f.enter(node, cid, [f"/bin/{comm(row)}", row], f"{row} ", caps=box.available_caps()).split()
            answer = said[said.index(row) + 1] if row in said else f"nothing: {said}"
            ended = time.time()
            ours = answer in ("EACCES", "EXDEV", "EPERM") and row not in SILENT
            if ours:
                # Seccomp's own refusals of a process that forked are told where the node's processes are seen, while it lives.
                by_landlock = answer in ("EACCES", "EXDEV") and not (profile == "strict" and row in NETWORK)
                if by_landlock:
                    wait_until(lambda row=row: feed.of(comm(row)), f"{row}: {answer}")
                    seen = time.time()
                    if seen - ended > 1:
                        late.append((row, seen - ended))
            told = feed.of(comm(row))
            if ours and by_landlock:
                t.ok(len(told) == 1 and told[0]["count"] == 1, f"{profile}: it is told once: {what}", told)
            elif answer == "ok":
                t.equal([x["what"] for x in told if x["kind"] != "syscall"], [], f"{profile}: what is allowed is not told: {what}")
            wrong += [x for x in told if (x["namespace"], x["pod"], x["container"], x["profile"]) != ("space", "victim", "main", profile)]
        t.equal(wrong, [], f"{profile}: each is attributed to its pod, container and profile")
        t.ok(not late, f"{profile}: each is told within a second, beside {NOISY} noisy containers", late)
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


def late_reader(t: Tap) -> None:
    """Audit is turned on, and the feed started, long after the container: the guard's record says whose it is."""
    node = Node(shutil.which("runc"))
    with auditlog.ours() as before:
        auditlog.set_status(0, before["limit"], before["wait"])
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
    finally:
        node.close()
        feed.close()


FLOOD = r"""
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
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
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("denied %ld in %.3f s\n", n, b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9);
	return 0;
}
"""


def flood(t: Tap) -> None:
    n = 1_000_000 if ALL else 10_000
    node, feed = Node(shutil.which("runc")), Feed()
    try:
        with tempfile.TemporaryDirectory() as d:
            subprocess.run(["gcc", "-O1", "-static", "-x", "c", "-", "-o", f"{d}/flood"], input=FLOOD, text=True, check=True)
            with open(f"{d}/flood", "rb") as program:
                b = node.bundle(["sleep", "1000000"], image={"/bin/flood": program.read()})
        node.profile("flood", "fs rx-root", "fs rw /tmp")
        node.settings(default="flood")
        cid = f.start(node, b, "flood")
        before, start = feed.memory(), time.monotonic()
        said = f.enter(node, cid, ["/bin/flood", str(n), "different"], "denied")
        took = time.monotonic() - start
        t.ok(f"denied {n}" in said, "a program is denied as fast as it can ask", said)
        node.delete(cid)
        key = 'kubefence_denials_total{profile="flood",kind="file"}'
        # The kernel's own count comes with the end of the sandbox.
        m = wait_until(lambda: (m := feed.metrics()).get(key, 0) + m["kubefence_denials_unseen_total"] >= n and m, "the kernel's own count")
        peak = feed.memory()
        feed.stop()
        ours = [x for x in feed.lines() if x["profile"] == "flood"]
        told, denied = sum(x["count"] for x in ours), m[key]
        print(f"# {n} denials in {took:.1f} s ({said.strip()}); {feed_summary(m)}; {len(ours)} lines; memory {before} KiB, then {peak} KiB")
        t.ok(denied + m["kubefence_denials_unseen_total"] >= n, "each is counted, as read or as not read", m)
        t.ok(denied <= n, "and none twice", m)
        t.ok(told + m["kubefence_denials_untold_total"] >= denied, "each that is read is in a line's count, or counted as untold", (told, m))
        t.ok(len(ours) < 2000, "lines are few", len(ours))
        t.ok(peak < 64 * 1024, "memory stays below 64 MiB", peak)
    finally:
        node.close()
        feed.close()


def feed_summary(m: dict) -> str:
    return ", ".join(f"{k.removeprefix('kubefence_denials_')} {v}" for k, v in m.items() if v)


def memory(t: Tap) -> None:
    """The bound itself: many containers, many different denials, and many sandboxes."""
    node, feed = Node(shutil.which("runc")), Feed()
    try:
        with tempfile.TemporaryDirectory() as d:
            subprocess.run(["gcc", "-O1", "-static", "-x", "c", "-", "-o", f"{d}/flood"], input=FLOOD, text=True, check=True)
            with open(f"{d}/flood", "rb") as program:
                b = node.bundle(["sleep", "1000000"], image={"/bin/flood": program.read()})
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
    cases = [short_lives, restart, seccomp, flood, memory, *(lambda t, p=p: matrix(t, p) for p in ("default", "strict"))]
    wanted = sys.argv[2:]
    try:
        with f.turned_on():
            for case in cases:
                if not wanted or case.__name__ in wanted:
                    t.case(case.__name__, case, t)
        if not wanted or "late_reader" in wanted:
            t.case("late_reader", late_reader, t)
    except auditlog.Unavailable as e:
        t.skip("denials in the audit log", str(e))
    return t.done()


if __name__ == "__main__":
    sys.exit(main())
