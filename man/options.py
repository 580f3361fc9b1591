#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""options.py [--check] BINDIR: write the options of the programs' own --help into the manual pages, between the lines
'.\\" options: COMMAND...' and '.\\" end of options'; with --check say which pages are not up to date, and write nothing."""
import os
import re
import subprocess
import sys
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
BEGIN, END = '.\\" options: ', '.\\" end of options'


def escape(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text[:1] in (".", "'") else text


def options(command: list[str]) -> list[tuple[str, str, str, str]]:
    """(letter, name, value, help) as --help has them."""
    text = subprocess.run([*command, "--help"], check=True, capture_output=True, text=True).stdout
    found: list[list[str]] = []
    for line in text.splitlines():
        m = re.match(r"  (?:-(\w), |    )--([a-z-]+)(\[=\w+\]| \S+)?(?:  +(.*))?$", line)
        if m:
            found.append([m[1] or "", m[2], (m[3] or "").strip(), m[4] or ""])
        elif found and re.match(r" {20}", line):
            found[-1][3] = f"{found[-1][3]} {line.strip()}".strip()
        elif found:
            break
    return [(a, b, c, d) for a, b, c, d in found if b != "help"]


def roff(rows: list[tuple[str, str, str, str]]) -> str:
    out = []
    for letter, name, value, text in rows:
        names = (f"\\fB\\-{letter}\\fR, " if letter else "") + f"\\fB\\-\\-{escape(name)}\\fR"
        if value.startswith("["):
            names += f"[=\\fI{escape(value[2:-1])}\\fR]"
        elif value:
            names += f" \\fI{escape(value)}\\fR"
        # A sentence begins with a capital letter, but the name of a program or of a key is as it is.
        if re.match(r"(?!containerd)[a-z]+[ ;,-]", text):
            text = text[0].upper() + text[1:]
        out += [".TP", names, *map(escape, textwrap.wrap(f"{text}.", 76, break_on_hyphens=False, break_long_words=False))]
    return "".join(f"{line}\n" for line in out)


def page(text: str, bindir: str) -> str:
    def section(m: re.Match) -> str:
        program, *rest = m[1].split()
        return f"{BEGIN}{m[1]}\n{roff(options([f'{bindir}/{program}', *rest]))}{END}\n"
    return re.sub(rf"^{re.escape(BEGIN)}(.*)\n(?:.*\n)*?{re.escape(END)}\n", section, text, flags=re.MULTILINE)


def main() -> int:
    check, bindir = "--check" in sys.argv, sys.argv[-1]
    stale = []
    for name in sorted(os.listdir(HERE)):
        path = f"{HERE}/{name}"
        if not re.search(r"\.[1-8]$", name):
            continue
        with open(path, encoding="utf-8") as f:
            old = f.read()
        new = page(old, bindir)
        if new != old:
            stale.append(name)
            if not check:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(new)
    if check and stale:
        print(f"not up to date: {' '.join(stale)}; run man/options.py {bindir}")
    return 1 if check and stale else 0


sys.exit(main())
