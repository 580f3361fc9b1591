# SPDX-License-Identifier: Apache-2.0
"""A stand-in for systemctl in a Containerd's namespace: "restart containerd" really restarts that one.

    c = Containerd(standard_paths=True)
    with c:
        s = Systemctl(c)             # /usr/bin/systemctl, and containerd's own program beside it
        ...
        s.restarts                   # how often it was asked to
        s.fail = 1                   # the next so many restarts end with containerd dead
"""
import shutil
import threading

from .containerd import Containerd
from .cri import CriError

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
            self.restarts += 1
            answer = "ok"
            if self.fail:
                self.fail -= 1
                answer = "failed"
                self.c.stop()
                (self.c.dir / "active").unlink(missing_ok=True)
            else:
                try:
                    if self.c.daemon.poll() is None:
                        self.c.stop()
                    self.c.start()
                    (self.c.dir / "active").touch()
                except CriError:
                    answer = "failed"
            (self.c.dir / "answer").write_text(answer + "\n")
