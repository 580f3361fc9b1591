# SPDX-License-Identifier: Apache-2.0
"""A stand-in for systemctl in a runtime's namespace: "restart containerd" (or crio) really restarts that one.

    c = Containerd(standard_paths=True)         # or Crio()
    with c:
        s = Systemctl(c)             # /usr/bin/systemctl and journalctl, and the runtime's own program where it belongs
        ...
        s.restarts, s.reloads        # how often it was asked to
        s.fail = 1                   # the next so many restarts end with the runtime dead
    s.idle()                     # wait for one whose caller was killed
"""
import os
import shutil
import signal
import threading
from pathlib import Path

from .cri import CriError, wait_until
from .runtime import Runtime

SYSTEMCTL = """#!/bin/sh
echo "$1 $2" >>@DIR@/systemctl.log
case "$1" in
is-active) [ "$2" = @UNIT@ ] && [ -e @DIR@/active ] ;;
reset-failed) : ;;
restart | reload) echo "$1" >@DIR@/request && read -r answer <@DIR@/answer && [ "$answer" = ok ] ;;
*) echo "unexpected: $*" >&2; exit 64 ;;
esac
"""
# The whole log, whatever is asked for: of one unit, since the machine started.
JOURNALCTL = """#!/bin/sh
exec cat @LOG@
"""
# Where the program of each runtime lies, of those that kubefence knows.
PROGRAMS = {"containerd": "/opt/containerd/bin/containerd", "crio": "/usr/bin/crio"}


class Systemctl:
    def __init__(self, c: Runtime):
        self.c, self.fail, self.restarts, self.reloads = c, 0, 0, 0
        self.unit = "crio" if c.log_name == "crio.log" else "containerd"
        self._busy = threading.Lock()
        for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
            (c.dir / name).write_text(text.replace("@DIR@", str(c.dir)).replace("@UNIT@", self.unit)
                                      .replace("@LOG@", str(c.dir / c.log_name)))
            (c.dir / name).chmod(0o755)
        (c.dir / "active").touch()
        program = PROGRAMS[self.unit]
        upper, work = f"{c.dir}/data/usr", f"{c.dir}/data/usr.work"
        c.sh(f"mkdir {upper} {work}; mkfifo {c.dir}/request {c.dir}/answer; "
             f"mount -t overlay -o lowerdir=/usr/bin,upperdir={upper},workdir={work} b /usr/bin; "
             f"cp {c.dir}/systemctl {c.dir}/journalctl /usr/bin/; "
             f"mkdir -p {os.path.dirname(program)} && cp {c.bin / self.unit} {program}")  # fmt: skip
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                asked = (self.c.dir / "request").read_text()
            except FileNotFoundError:  # the test is over
                return
            with self._busy:
                answer = "ok" if (self._reload() if asked == "reload\n" else self._restart()) else "failed"
            (self.c.dir / "answer").write_text(answer + "\n")

    def _reload(self) -> bool:
        self.reloads += 1
        self.c.daemon.send_signal(signal.SIGHUP)
        return True

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
