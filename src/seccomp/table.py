#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""seccomp_table.py OUT.c IN.table: the seccomp levels as C; the format is told in the table."""
import errno
import sys

OPS = {"==": "SCMP_CMP_EQ", "<": "SCMP_CMP_LT", "&": "SCMP_CMP_MASKED_EQ"}
# In the order of enum kf_seccomp_level, which starts with "none".
LEVELS = ["runtime-default", "agent", "restricted"]


class Policy:
    def __init__(self, base=None) -> None:
        # (arch, call) -> rules (errno number or 0 for allow, condition or None)
        self.rules = {k: list(v) for k, v in base.rules.items()} if base else {}
        self.denied = set(base.denied) if base else set()


def version(text: str) -> tuple:
    return tuple(int(n) for n in text.split("."))


def condition(words: list) -> list:
    """["arg0", "&", "0x7e", "==", "0"] -> [(index, op, value, value_two)], one a rule."""
    index, op, values = words[0], words[1], words[2:]
    if not index.startswith("arg") or int(index[3:]) > 5 or op not in OPS:
        raise ValueError(f"condition '{' '.join(words)}'")
    if op == "&":
        mask, eq, value = values
        if eq != "==":
            raise ValueError(f"condition '{' '.join(words)}'")
        return [(int(index[3:]), OPS[op], int(mask, 0), int(value, 0))]
    if op == "<" and len(values) != 1:
        raise ValueError("'<' takes one value")
    return [(int(index[3:]), OPS[op], int(v, 0), 0) for v in values]


class Table:
    def __init__(self) -> None:
        self.arches = {}
        self.kernel = None
        self.policies = {}
        self.current = None

    def do_arch(self, words) -> None:
        name, self.arches[words[0]] = words

    def do_kernel(self, words) -> None:
        self.kernel = version(*words)

    def do_policy(self, words) -> None:
        base = None
        if len(words) == 3 and words[1] == "=":
            base = self.policies[words[2]]
        elif len(words) != 1:
            raise ValueError("policy NAME [= NAME]")
        self.current = self.policies[words[0]] = Policy(base)

    def add(self, arches, calls, number, conditions) -> None:
        for call in calls:
            for arch in arches:
                rules = self.current.rules.setdefault((arch, call), [])
                for c in conditions:
                    # A condition beside no condition, or two errors, has no clear meaning.
                    if rules and (c is None or rules[-1][1] is None or rules[-1][0] != number):
                        raise ValueError(f"{call}: contradicts an earlier statement")
                    rules.append((number, c))
            self.current.denied.discard(call)

    def do_allow(self, words) -> None:
        arches, conditions = list(self.arches), [None]
        if "if" in words:
            conditions = condition(words[words.index("if") + 1:])
            words = words[: words.index("if")]
        if words[0] == "on":
            arches, words = [words[1]], words[2:]
            if arches[0] not in self.arches:
                raise ValueError(f"unknown architecture {arches[0]}")
        if words[0] == "since":
            if version(words[1]) > self.kernel:
                raise ValueError(f"Linux {words[1]} is newer than {self.kernel}")
            words = words[2:]
        self.add(arches, words, 0, conditions)

    def do_errno(self, words) -> None:
        self.add(self.arches, words[1:], getattr(errno, words[0]), [None])

    def do_deny(self, words) -> None:
        for call in words:
            self.current.denied.add(call)
            for arch in self.arches:
                self.current.rules.pop((arch, call), None)


def parse(path: str) -> Table:
    statements = []
    with open(path, encoding="ascii") as f:
        for number, line in enumerate(f, 1):
            line = line.split("#")[0].rstrip()
            if line and line[0].isspace() and statements:
                statements[-1][1].extend(line.split())
            elif line:
                statements.append((number, line.split()))
    table = Table()
    for number, words in statements:
        try:
            getattr(table, "do_" + words[0])(words[1:])
        except (ValueError, KeyError, IndexError, AttributeError, TypeError) as e:
            sys.exit(f"{path}:{number}: {words[0]}: {e}")
    if sorted(table.policies) != sorted(LEVELS):
        sys.exit(f"{path}: policies must be {', '.join(LEVELS)}")
    for name, policy in table.policies.items():
        for arch, call in policy.rules:
            if call in policy.denied:
                sys.exit(f"{path}: {name} denies and allows {call}")
    return table


def c_strings(out, name: str, strings: list) -> None:
    out.write(f"static const char *const {name}[] = {{\n")
    out.writelines(f'\t"{s}",\n' for s in strings)
    out.write("};\n")


def emit_arch(out, table: Table, arch: str) -> None:
    out.write(f"/* {arch} */\n")
    c_strings(out, f"{arch}_architectures", [table.arches[arch]])
    # (call, rule) -> levels, then calls that behave alike in the same levels as
    # one rule: all unconditional ones, a call each with a condition.
    singles, groups, names = {}, {}, {}
    for level in LEVELS:
        for (a, call), rules in table.policies[level].rules.items():
            for rule in rules if a == arch else []:
                singles.setdefault((call, rule), []).append(level)
    for (call, rule), levels in sorted(singles.items(), key=lambda item: item[0][0]):
        key = (rule, tuple(levels), call if rule[1] else None)
        groups.setdefault(key, []).append(call)
    rules = {level: [] for level in LEVELS}
    for (rule, levels, _), calls in groups.items():
        number, cond = rule
        if tuple(calls) not in names:
            names[tuple(calls)] = f"{arch}_names{len(names)}"
            c_strings(out, names[tuple(calls)], calls)
        fields = f".names = {names[tuple(calls)]}, .nnames = {len(calls)}, "
        if number:
            fields += f'.action = "SCMP_ACT_ERRNO", .has_errno = true, .errno_ret = {number}'
        else:
            fields += '.action = "SCMP_ACT_ALLOW"'
        if cond:
            index, op, value, value_two = cond
            fields += (f", .args = (const struct kf_seccomp_arg[]){{{{{index}, {value:#x}, "
                       f'{value_two:#x}, "{op}"}}}}, .nargs = 1')
        for level in levels:
            rules[level].append(f"\t{{{fields}}},\n")
    for level in LEVELS:
        out.write(f"static const struct kf_seccomp_rule {arch}_{level.replace('-', '_')}[] = {{\n")
        out.writelines(rules[level])
        out.write("};\n")


def main(out_path: str, table_path: str) -> None:
    table = parse(table_path)
    with open(out_path, "w", encoding="ascii") as out:
        out.write('/* Made by seccomp_table.py; change seccomp.table instead. */\n'
                  '#include "seccomp/table.h"\n\n')
        for arch in table.arches:
            emit_arch(out, table, arch)
        out.write("const struct kf_seccomp_table kf_seccomp_tables[] = {\n")
        for arch, scmp in table.arches.items():
            out.write(f'\t{{"{arch}", {{[KF_SECCOMP_LEVEL_NONE] = {{0}},\n')
            for level in LEVELS:
                name = level.replace("-", "_")
                rules = f"{arch}_{name}"
                out.write(f"\t\t[KF_SECCOMP_LEVEL_{name.upper()}] = {{\n"
                          '\t\t\t.default_action = "SCMP_ACT_ERRNO",\n'
                          f"\t\t\t.architectures = {arch}_architectures, .narchitectures = 1,\n"
                          f"\t\t\t.rules = {rules}, .nrules = sizeof({rules}) / sizeof({rules}[0]),\n"
                          "\t\t},\n")
            out.write("\t}},\n")
        out.write(f"}};\nconst size_t kf_nseccomp_tables = {len(table.arches)};\n")


main(*sys.argv[1:])
