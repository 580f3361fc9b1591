# SPDX-License-Identifier: Apache-2.0
"""A container that holds nothing but the probe, run by a real runtime."""
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from filters import BUILD, build

# In the order of their numbers.
NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ"
).split()


def capabilities() -> list:
    """All that this machine gives away, so that what is missing is the filter's doing."""
    bounding = int(re.search(r"^CapBnd:\s*(\w+)", Path("/proc/self/status").read_text(), re.MULTILINE)[1], 16)
    return ["CAP_" + name for bit, name in enumerate(NAMES) if bounding >> bit & 1]


def run(runtime: list, profile: dict | None, *args: str) -> str:
    """What the probe prints under @profile (None: no filter)."""
    build("seccomp_probe")
    name = f"kf-seccomp-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="kf-seccomp-") as d:
        rootfs = Path(d, "rootfs")
        for sub in ("proc", "dev"):
            (rootfs / sub).mkdir(parents=True)
        shutil.copy2(BUILD / "tests/seccomp/seccomp_probe", rootfs / "probe")
        spec = {
            "ociVersion": "1.0.2",
            "root": {"path": "rootfs"},
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": ["/probe", *args],
                "env": ["PATH=/"],
                "cwd": "/",
                "noNewPrivileges": False,
                "capabilities": {s: capabilities() for s in ("bounding", "effective", "permitted", "inheritable")},
            },
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "cgroupsPath": f"/{name}",
                "namespaces": [{"type": t} for t in ("pid", "mount", "ipc", "uts", "network")],
            },
        }
        if profile:
            spec["linux"]["seccomp"] = profile
        Path(d, "config.json").write_text(json.dumps(spec))
        p = subprocess.run(
            [*runtime, "--root", f"{d}/state", "run", "--bundle", d, name],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        )
        if p.returncode:
            raise RuntimeError(f"{runtime[0]}: exit {p.returncode}: {p.stderr}")
        return p.stdout


def outcomes(text: str) -> dict:
    return dict(line.split(" ", 1) for line in text.splitlines())
