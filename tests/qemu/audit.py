# SPDX-License-Identifier: Apache-2.0
"""The kernel's audit log in each of its states, on a kernel that may be left locked: off, on, taken by an audit daemon, locked,
and booted with audit=0; what doctor says, and what "kubefence denials" does about it."""
import os
import shutil
import subprocess
import tempfile

import box
from lib import qemu

KUBEFENCE = "/bin/kubefence"
# auditd's part of it: audit PID, which registers itself as the daemon and stays; audit lock, which does what "auditctl -e 2" does.
AUDIT = r"""
#include <linux/audit.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	struct { struct nlmsghdr head; struct audit_status status; } m = {
		.head = {sizeof(m), AUDIT_SET, NLM_F_REQUEST | NLM_F_ACK, 1, 0}};
	char answer[8192];
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
	if (argc > 1 && strcmp(argv[1], "lock") == 0)
		m.status = (struct audit_status){.mask = AUDIT_STATUS_ENABLED, .enabled = 2};
	else
		m.status = (struct audit_status){.mask = AUDIT_STATUS_PID, .pid = getpid()};
	if (send(fd, &m, sizeof(m), 0) < 0 || recv(fd, answer, sizeof(answer), 0) < 0)
		return 1;
	if (((struct nlmsgerr *)NLMSG_DATA((struct nlmsghdr *)answer))->error)
		return 2;
	if (argc > 1 && strcmp(argv[1], "lock") == 0)
		return 0;
	printf("%d\n", getpid());
	fflush(stdout);
	while (recv(fd, answer, sizeof(answer), 0) > 0)
		;
	return 0;
}
"""


def says(m: qemu.Machine) -> str:
    """doctor's line about the log."""
    out = m.run(f"{KUBEFENCE} doctor").stdout
    return next(line for line in out.splitlines() if "denials can be audited" in line) + out.split("denials can be audited")[1].split("\n√")[0]


def states(t, m: qemu.Machine, who: str) -> None:
    off = says(m)
    t.ok("‼" in off and "log is off" in off and "kubefence denials --turn-on" in off, f"{who}: off: doctor says so, and what to do", off)
    p = m.run(f"{KUBEFENCE} denials --turn-on")
    t.ok(p.returncode == 0 and "is now on" in p.stdout, f"{who}: --turn-on turns it on", p)
    on = says(m)
    t.ok("√" in on and "the log is on" in on and "locked" not in on, f"{who}: on: doctor says so", on)
    t.ok("was already on" in m.check(f"{KUBEFENCE} denials --turn-on"), f"{who}: on: --turn-on changes nothing")
    m.check("/bin/audit daemon >/tmp/daemon & until [ -s /tmp/daemon ]; do sleep 0.1; done")
    pid = m.check("cat /tmp/daemon").strip()
    owned = says(m)
    t.ok("√" in owned and f"audit daemon, process {pid}" in owned, f"{who}: an audit daemon has it: doctor names it", owned)
    # A denial still arrives beside the daemon.
    m.check(f"mkdir -p /run/kubefence; {KUBEFENCE} denials -o json >/tmp/feed 2>/tmp/feed.err & until grep -q started /tmp/feed.err; do sleep 0.1; done")
    m.run("/nono/nono wrap --profile default -- touch /etc/x")
    m.check("i=0; until grep -q make_reg /tmp/feed || [ $i -gt 300 ]; do i=$((i+1)); sleep 0.1; done")
    t.ok('"blockers":"fs.make_reg"' in m.run("cat /tmp/feed").stdout, f"{who}: the feed reads on beside it", m.run("cat /tmp/feed /tmp/feed.err"))
    m.check(f"kill {pid}; i=0; while kill -0 {pid} 2>/dev/null && [ $i -lt 300 ]; do i=$((i+1)); sleep 0.1; done")
    m.check("/bin/audit lock")
    locked = says(m)
    t.ok("√" in locked and "locked until the next boot" in locked, f"{who}: locked: doctor says so", locked)
    p = m.run(f"{KUBEFENCE} denials --turn-off")
    t.ok(p.returncode == 1 and "locked until the next boot" in p.stdout, f"{who}: locked: --turn-off says why it cannot", p)
    p = m.run(f"{KUBEFENCE} denials --turn-on")
    t.ok(p.returncode == 0 and "was already on" in p.stdout, f"{who}: locked: --turn-on has nothing to do", p)


def absent(t, m: qemu.Machine, who: str) -> None:
    said = says(m)
    t.ok("‼" in said and "audit=0" in said, f"{who}: doctor says so, and what to do", said)
    for command in ("denials --turn-on", "denials"):
        p = m.run(f"{KUBEFENCE} {command}")
        t.ok(p.returncode == 1 and "booted with audit=0" in p.stdout, f"{who}: {command}: says why it cannot", p)


def run(t, mode: str) -> None:
    if mode == "quick":
        return
    kernel = qemu.newest_kernel()
    with tempfile.TemporaryDirectory(prefix="kf-audit-") as d:
        root = f"{d}/root"
        os.mkdir(root)
        box.busybox_rootfs(root)
        os.makedirs(f"{root}/nono", exist_ok=True)
        shutil.copy2(box.NONO, f"{root}/nono/nono")
        shutil.copy2(f"{os.path.dirname(box.NONO)}/kubefence", f"{root}{KUBEFENCE}")
        subprocess.run(["gcc", "-O1", "-static", "-x", "c", "-", "-o", f"{root}/bin/audit"], input=AUDIT, text=True, check=True)
        image = qemu.initramfs(f"{d}/audit.cpio", root, kernel)
        who = "Debian " + kernel.release
        # Without a daemon the kernel prints its records, too: not to the console.
        with qemu.Machine(kernel.image, initrd=image, append="loglevel=1") as m:
            t.case(f"{who}: states", states, t, m, who)
        with qemu.Machine(kernel.image, initrd=image, append="loglevel=1 audit=0") as m:
            t.case(f"{who} with audit=0", absent, t, m, f"{who} with audit=0")
