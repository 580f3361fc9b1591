# SPDX-License-Identifier: Apache-2.0
"""A stand-in for systemctl in a Containerd's namespace: "restart containerd" really restarts that one.

    c = Containerd(standard_paths=True)
    with c:
        s = Systemctl(c)             # /usr/bin/systemctl, and containerd's own program beside it
        ...
        s.restarts                   # how often it was asked to
        s.fail = 1                   # the next so many restarts end with containerd dead
    s.idle()                     # wait for one whose caller was killed
"""
import os
import shutil
import threading
from pathlib import Path

from .containerd import Containerd
from .cri import CriError, wait_until

SYSTEMCTL = """#!/bin/sh
echo "$1 $2" >>@DIR@/systemctl.log
case "$1" in
is-active) [ "$2" = containerd ] && [ -e @DIR@/active ] ;;
reset-failed) : ;;
restart) echo "$2" >@DIR@/request && read -r answer <@DIR@/answer && [ "$answer" = ok ] ;;
*) echo "unexpected: $*" >&2; exit 64 ;;
esac
"""


class Systemctl:
    def __init__(self, c: Containerd):
        self.c, self.fail, self.restarts = c, 0, 0
        self._busy = threading.Lock()
        (c.dir / "opt/containerd/bin").mkdir(parents=True)
        shutil.copy2(c.bin / "containerd", c.dir / "opt/containerd/bin/containerd")
        (c.dir / "systemctl").write_text(SYSTEMCTL.replace("@DIR@", str(c.dir)))
        (c.dir / "systemctl").chmod(0o755)
        (c.dir / "active").touch()
        upper, work = f"{c.dir}/data/usr", f"{c.dir}/data/usr.work"
        c.sh(f"mkdir {upper} {work}; mkfifo {c.dir}/request {c.dir}/answer; "
             f"mount -t overlay -o lowerdir=/usr/bin,upperdir={upper},workdir={work} b /usr/bin; "
             f"cp {c.dir}/systemctl /usr/bin/systemctl")  # fmt: skip
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                (self.c.dir / "request").read_text()
            except FileNotFoundError:  # the test is over
                return
            with self._busy:
                answer = "ok" if self._restart() else "failed"
            (self.c.dir / "answer").write_text(answer + "\n")

    def _restart(self) -> bool:
        self.restarts += 1
        if self.fail:
            self.fail -= 1
            self.c.stop()
            (self.c.dir / "active").unlink(missing_ok=True)
            return False
        try:
            if self.c.daemon.poll() is None:
                self.c.stop()
            self.c.start()
        except CriError:
            return False
        (self.c.dir / "active").touch()
        return True

    def _runs(self) -> bool:
        """Whether one runs in this namespace."""
        namespace = os.readlink(f"/proc/{self.c._holder.pid}/ns/mnt")
        for d in Path("/proc").glob("[0-9]*"):
            try:
                if (d / "comm").read_text() == "systemctl\n" and os.readlink(d / "ns/mnt") == namespace:
                    return True
            except OSError:
                continue
        return False

    def idle(self) -> None:
        wait_until(lambda: not self._runs(), "systemctl to end")
        with self._busy:
            pass
