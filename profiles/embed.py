#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUT.c IN.policy...: flat policies, checksum added, as the C table kf_builtins."""
import hashlib
import os
import sys


def quote(line: bytes) -> str:
    return '"' + "".join(
        chr(b) if 0x20 <= b < 0x7F and chr(b) not in '"\\?' else f"\\{b:03o}" for b in line
    ) + '"'


def main(out: str, *sources: str) -> None:
    rows = []
    for path in sorted(sources):
        name = os.path.splitext(os.path.basename(path))[0]
        with open(path, "rb") as f:
            # Comments are for the reader of the source; the flat text has none.
            text = b"".join(l for l in f if l.strip() and not l.startswith(b"#"))
        if not text.startswith(b"nono-policy 1\nname " + name.encode() + b"\n"):
            sys.exit(f"{path}: must start with 'nono-policy 1' and 'name {name}'")
        text += b"sum " + hashlib.sha256(text).hexdigest().encode() + b"\n"
        body = "\n".join("\t\t" + quote(l) for l in text.splitlines(keepends=True))
        rows.append(f'\t{{"{name}",\n{body},\n\t\t{len(text)}}},\n')
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "policy/flat.h"\n\nconst struct kf_builtin kf_builtins[] = {\n')
        f.writelines(rows)
        f.write(f"}};\nconst size_t kf_nbuiltins = {len(rows)};\n")


main(*sys.argv[1:])
