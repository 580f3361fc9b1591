# SPDX-License-Identifier: Apache-2.0
"""Each growable buffer has a maximum of its own, which has a name and a reason.

unlimited() looks at every KF_BUF_INIT() and kf_arena_init(): its limit is a constant (or a multiple of one) whose #define
has a comment, beside or above it.  Memory that grows otherwise, by realloc() and its like, is in GROWS with what ends it.
"""
import re

LIMIT = re.compile(r"\bKF_BUF_INIT\(|\bkf_arena_init\(")
# What the caller gives, who names a constant; an arena that is never used.
GIVEN = {"limit", "max", "max_tree", "buf->max", "0", "memory_max ? memory_max : NRI_MEMORY_MAX_DEFAULT"}
FACTOR = r"(?:(?:\d+|\(size_t\)\d+) \* )?"
CONSTANTS = re.compile(rf"{FACTOR}([A-Z][A-Z0-9_]+)(?: \+ (?:\d+|{FACTOR}([A-Z][A-Z0-9_]+)))*")
GROW = re.compile(r"\b(?:realloc|reallocarray|realloc_array|getline|getdelim|open_memstream|std::vector<|std::string\b)")
GROWS = {
    "src/base/buf.c": (1, "kf_buf's own max"),
    "src/kata/effective.c": (1, "files of one directory, as many as the host lists"),
    "src/review/freeze.c": (1, "a line of the kernel's mountinfo"),
    "src/review/scan.c": (2, "names and changes of one volume, at most KF_REVIEW_CHANGES_MAX"),
    "src/flat/flat.c": (1, "rules of one text, which is at most KF_LIMIT_POLICY_TEXT"),
    "src/grants/deny.c": (1, "denied places of one policy, whose text is at most KF_LIMIT_POLICY_TEXT, in HOMES_MAX homes"),
    "src/grants/vars.c": (1, "shrinks"),
    "src/grants/volumes.c": (1, "MOUNTS_MAX"),
    "src/node/inuse.c": (1, "pointers to what lies in an arena of LIST_MAX"),
    "src/nono-egress/worker/tls.c": (1, "shrinks"),
    "src/musl/alloc.c": (1, "realloc() itself"),
    "src/nono-runc/mounted.c": (1, "a line of the kernel's table of mounts, whose paths are at most PATH_MAX"),
    "src/nono-runc/pinned.c": (1, "a line of the kernel's table of mounts, whose paths are at most PATH_MAX"),
    "src/nono/source.c": (1, "shrinks"),
    "src/nri/ttrpc.c": (1, "a message, at most NRI_TTRPC_DATA_MAX"),
    "src/sandbox/domain.c": (1, "OBJECTS_MAX"),
    "src/toml/toml.cc": (2, "lines and entries of one text, which is at most KF_LIMIT_CONFIG"),
}


def reasons(texts: dict[str, str]) -> set[str]:
    """The constants whose #define has a comment beside it, or above it and those of its group."""
    ret = set()
    for text in texts.values():
        above = False
        lines = text.split("\n")
        for i, line in enumerate(lines):
            m = re.match(r"#define (\w+)\s", line)
            if m:
                if above or "/*" in line:
                    ret.add(m[1])
            else:
                above = line.rstrip().endswith("*/")
    return ret


def unlimited(texts: dict[str, str]) -> tuple[list[str], int]:
    """What is wrong, and how many buffers and arenas there are."""
    shared = reasons({name: text for name, text in texts.items() if name.endswith(".h")})
    bad, seen = [], 0
    for name, text in texts.items():
        known = shared | reasons({name: text})
        for m in LIMIT.finditer(text):
            end = text.index(")", m.end())
            while text.count("(", m.end(), end) > text.count(")", m.end(), end):
                end = text.index(")", end + 1)
            limit = " ".join(text[m.end():end].split(",")[-1].split())
            where = f"{name}:{text.count(chr(10), 0, m.start()) + 1}"
            if text[:m.start()].endswith(("#define ", "void ")):
                continue
            seen += 1
            if limit in GIVEN:
                continue
            if not CONSTANTS.fullmatch(limit):
                bad.append(f"{where}: the limit '{limit}' has no name")
                continue
            bad += [f"{where}: nothing says why {c} is what it is" for c in re.findall(r"[A-Z][A-Z0-9_]+", limit) if c not in known]
    for name, text in texts.items():
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        n = len(GROW.findall(code))
        if n != GROWS.get(name, (0,))[0]:
            bad.append(f"{name}: {n} places grow memory, {GROWS.get(name, (0,))[0]} are known: say in tests/analyze/buffers.py what ends it")
    return bad, seen
