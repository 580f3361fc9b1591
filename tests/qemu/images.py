# SPDX-License-Identifier: Apache-2.0
"""tests/lib/qemu.py's archive is one that cpio reads."""
import os
import subprocess
import tempfile

from lib import qemu


def archive(t) -> None:
    with tempfile.TemporaryDirectory() as d:
        os.makedirs(f"{d}/root/bin")
        for name, text in (("bin/sh", "x" * 5), ("empty", "")):
            with open(f"{d}/root/{name}", "w") as f:
                f.write(text)
        os.chmod(f"{d}/root/bin/sh", 0o4755)
        os.symlink("bin/sh", f"{d}/root/link")
        out = qemu.initramfs(f"{d}/out.cpio", f"{d}/root")
        listed = subprocess.run(f"gzip -dc {out} | cpio -itv --quiet", shell=True, capture_output=True, text=True)
        t.equal((listed.returncode, listed.stderr), (0, ""), "cpio reads the archive")
        lines = {line.split()[8]: line.split() for line in listed.stdout.splitlines()}
        t.equal((lines["bin/sh"][0], lines["bin/sh"][2], lines["bin/sh"][4]), ("-rwsr-xr-x", "root", "5"), "modes, owner, sizes")
        t.equal(lines["link"][-1], "bin/sh", "symbolic links")
        t.ok({"init", "agent", "modules/order"} <= lines.keys(), "an init and the agent")
        t.ok(any(line.endswith("dev/console") and line[0] == "c" for line in listed.stdout.splitlines()), "a console")


def run(t, mode: str) -> None:
    t.case("archive", archive, t)
