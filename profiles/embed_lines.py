#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed_lines.py OUT.c TEXTS: the launcher's built-in policies, from their flat texts
one after the other.  They have most lines in common, so each line is there once
and a policy is its name, NUL, the last digits of its checksum, how many lines it
has without "sum", and their numbers."""
import sys


def main(out: str, texts: str) -> None:
    lines: dict[bytes, int] = {}
    rows = []
    with open(texts, "rb") as f:
        policies = f.read().split(b"nono-policy 1\n")[1:]
    for policy in policies:
        *policy, checksum = [b"nono-policy 1"] + policy.splitlines()
        name = policy[1].removeprefix(b"name ").decode("ascii")
        numbers = [lines.setdefault(line, len(lines)) for line in policy]
        if len(numbers) > 255:
            sys.exit(f"{name}: too many lines")
        rows.append("\t" + ", ".join([*(f"'{c}'" for c in name), "0", *(f"'{c}'" for c in checksum.decode("ascii")[-16:]), str(len(numbers)), *map(str, numbers)]) + ",\n")
    if len(lines) > 255 or any(b'"' in line or b"\\" in line for line in lines):
        sys.exit("too many lines, or one that needs quoting")
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "nono/builtin.h"\n\nconst char kf_builtin_lines[] =\n')
        f.writelines(f'\t"{line.decode("ascii")}\\0"\n' for line in lines)
        f.write("\t;\nconst unsigned char kf_builtin_policies[] = {\n")
        f.writelines(rows)
        f.write("\t0,\n};\n")


main(*sys.argv[1:])
