# SPDX-License-Identifier: Apache-2.0
"""A Debian machine in namespaces of its own: systemd is its first process, its root file system a directory.

    with Machine(debian(tmp / "root")) as m:
        m.sh("systemctl is-active dbus")

It has the network and the kernel of the machine that it runs on, and an own cgroup. What it leaves is the directory.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from lib import tools
from lib.runtime import die_with_parent
from lib.wait import wait_until

# What a fresh Debian 12 has that debootstrap's smallest variant lacks.
PACKAGES = "ca-certificates,dbus,procps,systemd-sysv"
BOOT = """
mkdir "$1" && echo 0 >"$1/cgroup.procs"
exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child --propagation private sh -ec '
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mkdir run/old
cp --dereference /etc/resolv.conf run/resolv.conf
mount --bind run/resolv.conf etc/resolv.conf
pivot_root . run/old
umount -l run/old
rmdir run/old
exec env -i container=kubefence-test /sbin/init' sh "$2"
"""


def debian(copy: Path) -> Path:
    """A copy of a fresh Debian 12; the original is made once."""
    name = tools.cache() / f"debian-12-{hashlib.sha256(PACKAGES.encode()).hexdigest()[:12]}"
    name.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not name.exists():
            print("# building the root file system of a fresh Debian 12", flush=True)
            shutil.rmtree(f"{name}.new", ignore_errors=True)
            subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", f"--include={PACKAGES}", "bookworm", f"{name}.new"],
                           check=True, stdin=subprocess.DEVNULL)
            os.rename(f"{name}.new", name)
    subprocess.run(["cp", "--archive", "--reflink=auto", name, copy], check=True)
    return copy


class Machine:
    def __init__(self, root: Path):
        self.root = root
        unified = Path("/sys/fs/cgroup/unified")
        self.cgroup = (unified if unified.exists() else unified.parent) / f"kf-machine-{os.getpid()}"

    def __enter__(self) -> "Machine":
        self._boot = subprocess.Popen(["sh", "-ec", BOOT, "sh", self.cgroup, self.root], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        try:
            self._init = wait_until(self._first_process, "the machine's first process")
            wait_until(lambda: self.sh("systemctl is-system-running").stdout.strip() in ("running", "degraded"), "the machine to be up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _first_process(self) -> str:
        """systemd's process as we number it, once it is there."""
        if self._boot.poll() is not None:
            raise RuntimeError(f"the machine did not start: status {self._boot.returncode}")
        children = Path(f"/proc/{self._boot.pid}/task/{self._boot.pid}/children").read_text().split()
        started = [c for c in children if Path(f"/proc/{c}/comm").read_text().strip() == "systemd"]
        return started[0] if started else ""

    def __exit__(self, *_) -> None:
        self._boot.kill()  # unshare takes the first process along, and that one all others
        self._boot.wait()
        wait_until(lambda: "populated 0" in (self.cgroup / "cgroup.events").read_text(), "the machine's processes to be gone")
        for directory, *_ in os.walk(self.cgroup, topdown=False):
            os.rmdir(directory)

    def inside(self, argv: list[str]) -> list[str]:
        """@argv as a command that runs on the machine."""
        return ["nsenter", "-t", self._init, "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--root", "--wd", "env", "-i",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
                "DEBIAN_FRONTEND=noninteractive", *argv]

    def sh(self, script: str, **options) -> subprocess.CompletedProcess:
        """Run a shell script on the machine, its standard error with its output."""
        return subprocess.run(self.inside(["sh", "-c", script]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=600, **options)

    def must(self, script: str) -> str:
        """What a script that succeeds says."""
        p = self.sh(script)
        if p.returncode:
            raise RuntimeError(f"{script}: status {p.returncode}\n{p.stdout}")
        return p.stdout
