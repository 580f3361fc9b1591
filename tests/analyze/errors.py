# SPDX-License-Identifier: Apache-2.0
"""No error object is NULL.

Every function that takes a `struct kf_err *` may look into it, whether it failed or was told so by another function: "not
there" is err->code == ENOENT all over the tree.  So there is always one; who does not want to know passes KF_ERR_IGNORED.
No compiler checks that for a parameter that is passed on, therefore found() does: it knows from all prototypes, definitions
and function pointers where the error stands among the arguments, and looks at that argument of every call.
"""
import re
from collections.abc import Iterator

ERROR = re.compile(r"\bstruct kf_err \*(?:const )?(\w+)$")
# What is called with an error: a function's name, a function pointer's, a macro's that stands for one.
DECLARATION = re.compile(r"\b(\w+)\s*\(|\(\*(?:const )?(\w+)(?:\[\w*\])?\)\s*\(")
POINTER = re.compile(r"\bstruct kf_err \*(?:const )?\w+\s*=\s*(?:NULL|0)\b|\.err\s*=\s*NULL\b")


def plain(text: str) -> str:
    """@text with comments and the insides of literals blanked out, every line where it was."""
    def blank(m: re.Match) -> str:
        s = m[0]
        keep = s[0] if s[0] in "\"'" else ""
        return keep + re.sub(r"[^\n]", " ", s[len(keep):len(s) - len(keep)]) + keep
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, text, flags=re.DOTALL)


def arguments(text: str, at: int) -> list[str] | None:
    """What stands between the parenthesis at text[at] and the one that closes it, at its commas."""
    depth, start, ret = 0, at + 1, []
    for i in range(at, len(text)):
        c = text[i]
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth == 0:
                return ret + [text[start:i].strip()]
        elif c == "," and depth == 1:
            ret.append(text[start:i].strip())
            start = i + 1
    return None


def calls(text: str) -> Iterator[tuple[int, str, list[str]]]:
    for m in DECLARATION.finditer(text):
        args = arguments(text, m.end() - 1)
        if args:
            yield m.start(), m[1] or m[2], args


def places(text: str) -> dict[str, set[int]]:
    """name of a function or of a pointer to one: where @text's declarations of it have an error object."""
    ret: dict[str, set[int]] = {}
    for _, name, args in calls(text):
        if any(re.match(r"(const )?(struct|enum|unsigned|char|int|size_t|void|bool)\b", a) for a in args):
            ret.setdefault(name, set()).update(i for i, a in enumerate(args) if ERROR.search(" ".join(a.split())))
    return ret


def found(sources: dict[str, str]) -> tuple[list[str], int]:
    """file: text -> the places where an error object is or may be NULL, and how many arguments were looked at."""
    texts = {name: plain(text) for name, text in sources.items()}
    shared = {name: {0} for name in ("kf_fail", "kf_fail_sys", "kf_fail_wrap", "kf_fail_nomem")}
    for name, text in texts.items():
        if name.endswith(".h"):
            for function, where in places(text).items():
                shared.setdefault(function, set()).update(where)
    bad, seen = [], 0
    for name, text in texts.items():
        where = {**shared, **places(text)}  # a static function is its file's own

        def line(at: int, name=name, text=text) -> str:
            return f"{name}:{text.count(chr(10), 0, at) + 1}"
        for at, function, args in calls(text):
            for i in where.get(function, ()):
                if i >= len(args) or ERROR.search(args[i]):
                    continue
                seen += 1
                if re.search(r"\bNULL\b|^0$", args[i]):
                    bad.append(f"{line(at)}: {function}() is given no error object")
        bad += [f"{line(m.start())}: {' '.join(m[0].split())}" for m in POINTER.finditer(text)]
    return bad, seen
