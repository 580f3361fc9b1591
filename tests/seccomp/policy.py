# SPDX-License-Identifier: Apache-2.0
"""OCI seccomp profiles in Python: an evaluator that shares nothing with ours, and the
calls worth asking about."""

ALL = 2**64 - 1
COMPARE = {
    "SCMP_CMP_EQ": lambda a, v, w: a == v,
    "SCMP_CMP_NE": lambda a, v, w: a != v,
    "SCMP_CMP_LT": lambda a, v, w: a < v,
    "SCMP_CMP_LE": lambda a, v, w: a <= v,
    "SCMP_CMP_GT": lambda a, v, w: a > v,
    "SCMP_CMP_GE": lambda a, v, w: a >= v,
    "SCMP_CMP_MASKED_EQ": lambda a, v, w: (a & v) == (w & v),
}


def answer(profile: dict, call: str, args: tuple) -> str:
    """"allow", "errno 1" ...; for profiles in which matching rules never disagree."""
    found = set()
    for rule in profile["syscalls"]:
        if call in rule["names"] and all(
            COMPARE[a["op"]](args[a["index"]], a["value"], a.get("valueTwo", 0)) for a in rule.get("args") or []
        ):
            found.add(_name(rule["action"], rule.get("errnoRet")))
    if not found:
        return _name(profile["defaultAction"], profile.get("defaultErrnoRet"))
    if len(found) > 1:
        raise ValueError(f"{call}{args}: {found}")
    return found.pop()


def _name(action: str, errno) -> str:
    if action == "SCMP_ACT_ERRNO":
        return f"errno {1 if errno is None else errno}"
    return action.removeprefix("SCMP_ACT_").lower()


def points(*profiles: dict) -> dict:
    """Call -> argument tuples on both sides of every condition that any profile has."""
    values: dict = {}
    for profile in profiles:
        for rule in profile["syscalls"]:
            for a in rule.get("args") or []:
                for call in rule["names"]:
                    near = values.setdefault(call, {}).setdefault(a["index"], {0, 1, ALL, 2**31, 2**32, 2**63})
                    for v in (a["value"], a.get("valueTwo", 0)):
                        near |= {v, (v + 1) & ALL, (v - 1) & ALL, v | 2**32}
                    near |= {1 << bit for bit in range(64)}
    return {
        call: [tuple(v if i == index else 0 for i in range(6)) for index, vs in by_index.items() for v in sorted(vs)]
        for call, by_index in values.items()
    }
