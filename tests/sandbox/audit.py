# SPDX-License-Identifier: Apache-2.0
"""What the sandbox refuses to a workload is in the kernel's audit log, and what is not refused is not.

Records are read from the log's multicast group, which disturbs no audit daemon; the log is turned on for the test and put back."""
import os
import re

import box
from auditlog import LANDLOCK_ACCESS, LANDLOCK_DOMAIN, Unavailable, log, records
from wait import DEADLINE


def run(t) -> None:
    if box.landlock_abi() < 7:
        t.skip("audit records of denials", "the kernel's Landlock logs none (ABI 7, Linux 6.15, does)")
        return
    try:
        with log() as reader, box.Box() as b:
            os.makedirs(f"{b.rootfs}/root/.ssh")
            inode = {}
            for name in ("root/.ssh/control", "root/.ssh/denied", "etc/control", "etc/denied"):
                with open(f"{b.rootfs}/{name}", "w") as f:
                    f.write("x\n")
                inode[name] = os.stat(f.name).st_ino
            b.start()
            script = "cat /root/.ssh/%s; echo y >>/etc/%s; cat /etc/hosts"
            hosts = b.exec(["cat", "/etc/hosts"]).stdout
            p = b.exec(["sh", "-c", script % ("control", "control")])
            t.equal((p.stdout, p.stderr, hosts != ""), (f"x\n{hosts}", "", True), "control: without a sandbox nothing is refused")
            p = b.exec(["sh", "-c", script % ("denied", "denied")], profile="default")
            t.equal((p.stdout, p.stderr.count("ermission denied")), (hosts, 2), "the sandbox refuses a read and a write")

            def about(name):
                return lambda r: r[0] == LANDLOCK_ACCESS and re.search(rf"\bino={inode[name]}\b", r[1])

            got = records(reader, about("etc/denied"), DEADLINE)
            for name, blocker in (("root/.ssh/denied", "fs.read_file"), ("etc/denied", "fs.write_file")):
                found = [text for kind, text in got if about(name)((kind, text))]
                t.ok(len(found) == 1 and f"blockers={blocker}" in found[0], f"one record says that {blocker} on /{name} was refused", got)
            t.ok(any(kind == LANDLOCK_DOMAIN and "status=allocated mode=enforcing" in text for kind, text in got), "and one says which domain did it", got)
            t.equal([text for kind, text in got if about("root/.ssh/control")((kind, text)) or about("etc/control")((kind, text))], [],
                    "control: what was not refused is not in the log")
            hosts = os.stat(f"{b.rootfs}/etc/hosts").st_ino
            t.equal([text for kind, text in got if kind == LANDLOCK_ACCESS and f"ino={hosts}" in text], [], "nor what the sandbox allows")
    except Unavailable as e:
        t.skip("audit records of denials", str(e))
