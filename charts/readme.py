#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""readme.py [--check]: charts/kubefence/README.md from the comments of values.yaml."""
import os
import re
import sys

CHART = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kubefence")
HEAD = """# kubefence

For owners of a cluster: the Helm chart, with NRI plugin and node set-up as DaemonSets, RuntimeClasses and admission
policies.

    helm install kubefence charts/kubefence --namespace kube-system

A pod asks for the sandbox with `runtimeClassName: nono-runc`. Its annotation `nono.sh/profile` chooses the profile;
without it the pod gets the default one. [docs/kubernetes.md](../../docs/kubernetes.md) describes installing, upgrading,
admission, readiness, break-glass and uninstalling.

## Values

This table is generated from `values.yaml` by `charts/readme.py`.

| value | default | meaning |
|---|---|---|
"""


def rows():
    path, comment = [], []
    with open(f"{CHART}/values.yaml", encoding="utf-8") as f:
        for line in f:
            if m := re.match(r"\s*# -- (.*)", line):
                comment = [m[1]]
            elif (m := re.match(r"\s*#\s?(.*)", line)) and comment:
                comment.append(m[1])
            elif m := re.match(r"(\s*)([A-Za-z]\w*):\s*(.*)", line):
                path = path[: len(m[1]) // 2] + [m[2]]
                if comment:
                    yield ".".join(path), m[3].strip() or "{}", " ".join(comment)
                elif m[3] and path[0] not in ("global",):
                    sys.exit(f"values.yaml: {'.'.join(path)} has no '# --' comment")
                comment = []


def main() -> int:
    text = HEAD + "".join(f"| `{k}` | `{d}` | {c.replace('|', chr(92) + '|')} |\n" for k, d, c in rows())
    readme = f"{CHART}/README.md"
    if sys.argv[1:] == ["--check"]:
        with open(readme, encoding="utf-8") as f:
            return 0 if f.read() == text else 1
    with open(readme, "w", encoding="utf-8") as f:
        f.write(text)
    return 0


sys.exit(main())
