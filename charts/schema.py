#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""schema.py [--check] KUBEFENCE: the schema of profiles in values.schema.json, from "kubefence profile schema"."""
import json
import os
import re
import subprocess
import sys

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kubefence/values.schema.json")
LINE = re.compile(r'^    "profile": \{.*\}$', re.MULTILINE)


def plain(value):
    """Without what is only for editors."""
    if isinstance(value, list):
        return [plain(x) for x in value]
    if not isinstance(value, dict):
        return value
    return {k: plain(v) for k, v in value.items() if k not in ("$id", "title", "description") and not (k == "$schema" and isinstance(v, str))}


def main() -> int:
    *options, program = sys.argv[1:]
    schema = json.loads(subprocess.run([program, "profile", "schema"], check=True, capture_output=True, text=True).stdout)
    with open(FILE, encoding="utf-8") as f:
        old = f.read()
    line = '    "profile": ' + json.dumps(plain(schema), separators=(", ", ": "))
    new, n = LINE.subn(lambda _: line, old)
    if n != 1:
        print(f"{FILE}: no line for the schema of profiles", file=sys.stderr)
        return 1
    if options == ["--check"]:
        if new != old:
            print("values.schema.json has not the schema of profiles; run charts/schema.py", file=sys.stderr)
        return new != old
    with open(FILE, "w", encoding="utf-8") as f:
        f.write(new)
    return 0


sys.exit(main())
