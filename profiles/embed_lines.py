#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed_lines.py OUT.c TEXTS: the launcher's built-in policies, from their flat texts
one after the other.  They have most lines in common, so each line is there once
and a policy is a list of numbers."""
import sys


def main(out: str, texts: str) -> None:
    lines: dict[bytes, int] = {}
    rows = []
    with open(texts, "rb") as f:
        policies = f.read().split(b"nono-policy 1\n")[1:]
    for policy in policies:
        policy = [b"nono-policy 1"] + policy.splitlines()
        policy[-1] = b"sum "  # the launcher computes it
        name = policy[1].removeprefix(b"name ").decode("ascii")
        numbers = [lines.setdefault(line, len(lines)) for line in policy]
        rows.append(f'\t{{"{name}", {len(numbers)}, {{{", ".join(map(str, numbers))}}}}},\n')
    if len(lines) > 255 or any(b'"' in line or b"\\" in line for line in lines):
        sys.exit("too many lines, or one that needs quoting")
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "nono/builtin.h"\n\nconst char kf_builtin_lines[] =\n')
        f.writelines(f'\t"{line.decode("ascii")}\\0"\n' for line in lines)
        f.write("\t;\nconst struct kf_builtin_numbers kf_builtin_policies[] = {\n")
        f.writelines(rows)
        f.write(f"}};\nconst size_t kf_builtin_npolicies = {len(rows)};\n")


main(*sys.argv[1:])
