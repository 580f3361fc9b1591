#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUT.c GROUPS.json PROFILE.json...: the texts as the C tables of policy/profile.h."""
import os
import sys


def quote(line: bytes) -> str:
    return '"' + "".join(
        chr(b) if 0x20 <= b < 0x7F and chr(b) not in '"\\?' else f"\\{b:03o}" for b in line
    ) + '"'


def source(path: str) -> str:
    name = os.path.splitext(os.path.basename(path))[0]
    with open(path, "rb") as f:
        text = f.read()
    body = "\n".join("\t" + quote(l) for l in text.splitlines(keepends=True))
    return f'{{"{name}", "built-in {name}.json",\n{body},\n\t{len(text)}}}'


def main(out: str, groups: str, *profiles: str) -> None:
    rows = [source(p) for p in sorted(profiles)]
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "profile/profile.h"\n\n')
        f.write(f"const struct kf_profile_source kf_profile_groups = {source(groups)};\n")
        f.write("const struct kf_profile_source kf_profile_builtins[] = {\n")
        f.write(",\n".join(rows))
        f.write(f"\n}};\nconst size_t kf_nprofile_builtins = {len(rows)};\n")


main(*sys.argv[1:])
