# SPDX-License-Identifier: Apache-2.0
"""Python modules that a test needs and this Python may lack:

    from pymodules import need
    need("jsonschema==4.23.0", "PyYAML==6.0.2")     # importable afterwards

They are installed once, into ${XDG_CACHE_HOME:-~/.cache}/kubefence/python-HASH.
"""
import fcntl
import hashlib
import os
import subprocess
import sys


def need(*requirements: str) -> None:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    key = hashlib.sha256(" ".join((sys.version, *sorted(requirements))).encode()).hexdigest()[:12]
    where = f"{home}/kubefence/python-{key}"
    os.makedirs(os.path.dirname(where), exist_ok=True)
    with open(where + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(f"{where}/.complete"):
            # A venv's pip, for Debian's Python comes without one.
            subprocess.run([sys.executable, "-m", "venv", f"{where}-venv"], check=True)
            subprocess.run([f"{where}-venv/bin/pip", "install", "-q", "--target", where, *requirements], check=True)
            open(f"{where}/.complete", "w", encoding="ascii").close()
    sys.path.insert(0, where)
