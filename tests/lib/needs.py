# SPDX-License-Identifier: Apache-2.0
"""What tests need of the machine itself, said in one line before an area that lacks it starts."""
import ctypes
import os
import shutil
from pathlib import Path

SYS_landlock_create_ruleset, LANDLOCK_CREATE_RULESET_VERSION = 444, 1


def root() -> str:
    return "" if os.geteuid() == 0 else "root's rights: run it as root"


def loopback() -> str:
    try:
        up = int(Path("/sys/class/net/lo/flags").read_text(), 16) & 1
    except (OSError, ValueError):
        up = 0
    return "" if up else "the loopback interface, which is down: ip link set lo up"


def landlock() -> str:
    abi = ctypes.CDLL(None).syscall(SYS_landlock_create_ruleset, None, 0, LANDLOCK_CREATE_RULESET_VERSION)
    return "" if abi >= 1 else "a kernel with Landlock turned on: add landlock to the boot parameter lsm="


def cgroups() -> str:
    return "" if os.path.ismount("/sys/fs/cgroup") else "cgroups: mount them at /sys/fs/cgroup"


def shm() -> str:
    return "" if os.access("/dev/shm", os.W_OK) else "a tmpfs at /dev/shm"


def space() -> str:
    """Containers' images and file systems are made in /tmp."""
    free = shutil.disk_usage("/tmp").free >> 30
    return "" if free >= 4 else f"4 GiB free in /tmp, which has {free}"


def nft() -> str:
    return "" if shutil.which("nft") else "nft, to see what is in a namespace: apt-get install nftables"


# Every area that is not named needs all of it.
AREAS = {
    "tree": (),
    "unit": (loopback, landlock),
    "fuzz": (),
    "chart": (),
    "analyze": (),  # what only "all" runs says itself what it lacks
    "cli": (root, loopback, landlock),
    "egress": (root, loopback, landlock),
    "packages": (root,),
    "learn": (root, landlock),
    "profiles": (root, landlock),
    "bwrap": (root, landlock),
    "site": (),
    "egress-node": (root, loopback, landlock, nft),
}
ALL = (root, loopback, landlock, cgroups, shm, space)


def missing(area: str) -> str:
    """What @area needs and this machine does not have, with what to do about it; "" if nothing."""
    return "; ".join(filter(None, (need() for need in AREAS.get(area, ALL))))
