#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The binary interface of libnri.so.1: its list in libnri.abi, and what the headers at hand make of it.

    abi.py INCLUDE_DIR [--update]     # what differs; with --update, libnri.abi gets what is new

Lines are "function NAME", "value ENUMERATOR NUMBER", and "member STRUCT NAME OFFSET SIZE
DECLARATION". A program that was built with one of them relies on it, so lines are added and never changed or removed while the
soname is libnri.so.1; members come after those that a structure has, and not into its padding, which an older program need
not have set. Both architectures have the same list.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIST = HERE / "libnri.abi"
HEAD = "# SPDX-License-Identifier: Apache-2.0\n# What programs that use libnri.so.1 rely on: see abi.py. Lines are added, never changed.\n"
HEADERS = ("nri.h", "nri.pb-c.h")


def bare(text: str) -> str:
    """C without comments and preprocessor lines, positions kept."""
    blank = lambda m: re.sub(r"[^\n]", " ", m[0])  # noqa: E731
    text = re.sub(r"/\*.*?\*/|//[^\n]*", blank, text, flags=re.DOTALL)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.MULTILINE)


def structures(text: str) -> dict[str, list[tuple[str, list[str], int, int]]]:
    """Of a header: for each structure the declarations in it, the members that each declares, and where it stands."""
    found = {}
    for m in re.finditer(r"^struct\s+(\w+)\s*\{(.*?)^\};", bare(text), re.MULTILINE | re.DOTALL):
        members, at = [], m.start(2)
        for piece in m[2].split(";")[:-1]:
            declaration = " ".join(piece.split())
            function = re.search(r"\(\*(\w+)\)\(", declaration)
            names = [function[1]] if function else [re.search(r"(\w+)(?:\[\w+\])?$", d.strip())[1] for d in declaration.split(",")]
            members.append((declaration, names, at, at + len(piece) + 1))
            at += len(piece) + 1
        found[m[1]] = members
    return found


def enumerators(text: str) -> list[str]:
    bodies = re.findall(r"\benum\s+\w+\s*\{(.*?)\}", bare(text), re.DOTALL)
    names = [re.match(r"\s*(\w+)", piece) for body in bodies for piece in body.split(",")]
    return [m[1] for m in names if m and m[1].startswith("NRI") and not re.search(r"PROTOBUF_C__FORCE|__IS_INT_SIZE|_FORCE_", m[1])]


def functions(text: str) -> list[str]:
    """What a header declares and does not define."""
    text = re.sub(r"^static inline[^;{]*\{.*?^\}", "", bare(text), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^(?:const char \*|(?:int|void|enum \w+) )(nri_\w+)\(", text, re.MULTILINE)


def interface(include: Path) -> list[str]:
    """The lines that the headers below @include make."""
    texts = [(include / "nri" / h).read_text() for h in HEADERS]
    lines = [f"function {f}" for f in functions(texts[0])]
    code = ["#include <nri/nri.h>", "#include <stdio.h>", "int main(void) {"]
    for text in texts:
        code += [f'printf("value {e} %d\\n", (int){e});' for e in enumerators(text)]
    for text in texts:
        for struct, members in structures(text).items():
            for declaration, names, *_ in members:
                for n in names:
                    member = f"((struct {struct} *)0)->{n}"
                    code.append(f'printf("member {struct} {n} %zu %zu {declaration}\\n", __builtin_offsetof(struct {struct}, {n}), sizeof({member}));')
    with tempfile.TemporaryDirectory() as tmp:
        source, program = Path(tmp, "abi.c"), Path(tmp, "abi")
        source.write_text("\n".join([*code, "}", ""]))
        flags = subprocess.run(["pkg-config", "--cflags", "libprotobuf-c"], check=True, capture_output=True, text=True).stdout.split()
        subprocess.run(["cc", f"-I{include}", *flags, source, "-o", program], check=True)
        lines += subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    return lines


def stored() -> list[str]:
    return [x for x in LIST.read_text().splitlines() if x and not x.startswith("#")] if LIST.exists() else []


def broken(old: list[str], new: list[str]) -> list[str]:
    """What programs built with @old cannot bear about @new."""
    out = [f"gone or changed: {x}" for x in old if x not in new]
    end: dict[str, int] = {}  # of the structure as old programs know it
    for kind, struct, _, offset, size in (x.split(" ")[:5] for x in old if x.startswith("member ")):
        end[struct] = max(end.get(struct, 0), -(-(int(offset) + int(size)) // 8) * 8)
    for line in (x for x in new if x.startswith("member ") and x not in old):
        struct, offset = line.split(" ")[1], int(line.split(" ")[3])
        if offset < end.get(struct, 0):
            out.append(f"not behind the end of its structure: {line}")
        if struct == "nri_error" and old:
            out.append(f"struct nri_error stays as it is: {line}")
    return out


def main() -> int:
    old, new = stored(), interface(Path(sys.argv[1]))
    bad = broken(old, new)
    fresh = [x for x in new if x not in old]
    print("\n".join([*bad, *(f"new: {x}" for x in fresh)]))
    if bad:
        print("abi.py: programs that use libnri.so.1 break: undo it, or give the library another soname", file=sys.stderr)
        return 1
    if "--update" in sys.argv:
        LIST.write_text(HEAD + "".join(f"{x}\n" for x in new))
    return 0


if __name__ == "__main__":
    sys.exit(main())
