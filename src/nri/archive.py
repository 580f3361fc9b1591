#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""archive.py OUT MAP OBJCOPY AR LIBRARY... -- COMPILER...: libnri.a, which exports what the shared library does.

The first LIBRARY as a whole, and what it needs of the others, become one object, in which every symbol that MAP
does not list is local: a program that links it can have functions with the names of our internal ones.
"""
import re
import subprocess
import sys
from pathlib import Path

ours, compiler = (sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:])
out, script, objcopy, ar, whole, *others = ours
exported = re.findall(r"^\t(nri_\w+);$", Path(script).read_text(), re.MULTILINE)
one, names = Path(f"{out}.o"), Path(f"{out}.names")
names.write_text("".join(f"{name}\n" for name in exported))
subprocess.run([*compiler, "-r", "-nostdlib", "-o", one, "-Wl,--whole-archive", whole, "-Wl,--no-whole-archive", *others], check=True)
subprocess.run([objcopy, f"--keep-global-symbols={names}", one], check=True)
Path(out).unlink(missing_ok=True)
subprocess.run([ar, "rcsD", out, one], check=True)
one.unlink()
names.unlink()
