# SPDX-License-Identifier: Apache-2.0
"""Values as people write them: every pair of switches, and odd strings in every value that is a string.

What the chart does not refuse by name, it renders as what was meant: YAML without a key that stands twice, of the same
shape as with a plain value, and with a configuration that the plugin accepts."""
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{ROOT}/tests/lib")
import seed  # noqa: E402
from pymodules import need  # noqa: E402

need("PyYAML==6.0.2")
import yaml  # noqa: E402

CHART = f"{ROOT}/charts/kubefence"
MAP = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
# With these every template has all of its text.
ALL = {
    "kata.enabled": True, "runtimeClasses.kataNono.enabled": True, "denials.enabled": True, "egress.enabled": True, "review.enabled": True, "ocsf.enabled": True,
    "monitoring.enabled": True, "admission.execPolicy": True, "serviceAccount.create": True, "seLinuxType": "spc_t",
    "config.defaultProfile": "strict", "nodeSetup.distribution": "containerd",
    "nodeSetup.nri.pluginPath": "/opt/nri/plugins", "kata.qemu.machineAccelerators": "a=b", "containerdConfigPath": "/etc/x.toml",
}  # fmt: skip
# What YAML 1.1 takes for something else than a string, or for its own marks.
ODD = (
    "on", "no", "true", "null", "~", "12", "1e3", "0x1f", "1:30", "-", "a b", "a: b", "a #b", "a,b", "{a}", "[a]", "&a", "*a", "!a", "|", ">",
    "%a", "@a", "`a", "'a", '"a', "a'b", 'a"b', "a\\b", "a\nb", "a\tb", "é", "a}}", "{{ .Values }}", "--all", "", "/", "/on", "/a,b/nono", "/a}b/nono",
    "/a: b/nono", "/a'b/nono", "/a//b/nono", "/a/./b/../nono", "/opt//nono-nri/nono", "/a#b", "A", "a.b", "a-", "-a", "a.", "x" * 64, "x" * 300,
    "reg:5000/a/b", "reg:5000/a/b:1", "a/b@sha256:" + "0" * 64, "https://reg/a", "a/b:1",
)  # fmt: skip


class Strict(yaml.SafeLoader):
    """YAML as kubectl, kustomize and Argo CD read it: no key twice."""


def build_mapping(loader: Strict, node) -> dict:
    out = {}
    for key, value in node.value:
        name = loader.construct_object(key, deep=True)
        if name in out:
            raise yaml.YAMLError(f"the key {name} stands twice, line {key.start_mark.line + 1}")
        out[name] = loader.construct_object(value, deep=True)
    return out


Strict.add_constructor("tag:yaml.org,2002:map", build_mapping)


def documents(text: str) -> list[dict]:
    return [x for x in yaml.load_all(text, Strict) if x]


def nest(flat: dict) -> dict:
    """{"a.b": 1} -> {"a": {"b": 1}}; keys that are tuples may have dots within."""
    out: dict = {}
    for path, value in flat.items():
        *way, last = path if isinstance(path, tuple) else path.split(".")
        there = out
        for name in way:
            there = there.setdefault(name, {})
        there[last] = value
    return out


def values_text(flat: dict) -> str:
    """A file of values."""
    return json.dumps(nest(flat))


def template(helm: str, flat: dict, release: str = "t") -> subprocess.CompletedProcess:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as f:
        f.write(values_text(flat))
        f.flush()
        return subprocess.run([helm, "template", release, CHART, "-n", "kube-system", "--kube-version", "1.36.0", "--api-versions", MAP, "-f", f.name],
                              capture_output=True, text=True, timeout=60)


def leaves(kind: type) -> dict[str, object]:
    """The chart's values of @kind, with their defaults."""
    found = {}

    def walk(path: str, value) -> None:
        if isinstance(value, dict):
            for key, below in value.items():
                walk(f"{path}.{key}" if path else key, below)
        elif isinstance(value, kind):
            found[path] = value

    with open(f"{CHART}/values.yaml", encoding="utf-8") as f:
        walk("", yaml.safe_load(f))
    return found


def pairs(switches: dict[str, bool], rng: random.Random) -> list[dict[str, bool]]:
    """Few sets of values in which each two switches are in each of their four states."""
    names = sorted(switches)
    left = {(a, x, b, y) for a, b in itertools.combinations(names, 2) for x in (False, True) for y in (False, True)}
    sets = [dict(switches)]
    while left:
        tries = [{n: rng.random() < 0.5 for n in names} for _ in range(40)]
        best = max(tries, key=lambda s: sum(s[a] == x and s[b] == y for a, x, b, y in left))
        sets.append(best)
        left = {(a, x, b, y) for a, x, b, y in left if best[a] != x or best[b] != y}
    return sets


def drawn_sets(rng: random.Random) -> list[dict]:
    """Those, without what the chart refuses, which REFUSALS of run has."""
    sets = pairs(leaves(bool), rng)
    for s in sets:
        if s["kata.enabled"]:
            s["runtimeClasses.kataNono.enabled"] = True
        if not s["runtimeClasses.nonoRunc.enabled"]:
            s["admission.enforce"] = False
    return sets


def shape_differs(a, b, where: str = "") -> str:
    """Where two renderings differ in more than the text of strings; "" if nowhere."""
    if isinstance(a, dict) and isinstance(b, dict):
        if set(a) != set(b):
            return f"{where}: keys {sorted(map(str, set(a) ^ set(b)))}"
        return next((d for k in a if (d := shape_differs(a[k], b[k], f"{where}.{k}"))), "")
    if isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b) and not where.endswith(".args"):
            return f"{where}: {len(a)} elements, {len(b)}"
        return next((d for i, (x, y) in enumerate(zip(a, b)) if (d := shape_differs(x, y, f"{where}[{i}]"))), "")
    return "" if type(a) is type(b) and (isinstance(a, str) or a == b) else f"{where}: {a!r}, {b!r}"


def plugin_says(docs: list[dict]) -> str:
    """What the plugin has against the configuration, but that the launcher is not on this machine."""
    toml = next(d["data"]["10-nono-nri.toml"] for d in docs if d["kind"] == "ConfigMap" and d["metadata"]["name"].endswith("-config"))
    with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8") as f:
        # It would go on and connect, were there nothing to refuse.
        f.write("no_such_key = 1\n" + toml)
        f.flush()
        p = subprocess.run([f"{ROOT}/out/bin/nono-nri", "--config", f.name, "--json=false"], capture_output=True, text=True, timeout=60)
    lines = [x for x in p.stderr.splitlines() if "unknown key" not in x and not ("nono_bin_path: " in x and "No such file" in x) and "not-started" not in x]
    return "\n".join(lines) if p.returncode else "it went on"


def switches(t, helm: str, rng: random.Random) -> None:
    sets, wrong = drawn_sets(rng), []
    for s in sets:
        p = template(helm, s)
        try:
            said = p.stderr if p.returncode else plugin_says(documents(p.stdout))
        except yaml.YAMLError as e:
            said = str(e)
        if said:
            wrong.append((said[:300], s))
    t.equal(wrong, [], f"each pair of switches renders in each state ({len(sets)} sets of values)")


def odd(t, helm: str, rng: random.Random, draws: int) -> None:
    base = documents(template(helm, ALL).stdout)
    texts = {**leaves(str), **{f"{name}[]": value for name, value in leaves(list).items() if name in (
        "config.runtimeClasses", "config.allowedProfiles", "config.vmRootfsClasses", "config.kataAnnotations", "admission.runtimeClassNames",
        "admission.deniedAnnotations", "egress.refuse")}}  # fmt: skip
    cases = [(name, text) for name in texts for text in ODD]
    wrong, refused, n = [], 0, 0
    for name, text in rng.sample(cases, draws):
        flat, leaf = dict(ALL), name.removesuffix("[]")
        flat[leaf] = [*texts[name], text] if name.endswith("[]") else text
        if leaf == "config.nonoBinPath" and "/" in text:
            flat["hostPaths.nonoHostDir"] = os.path.dirname(text)
        n += 1
        p = template(helm, flat)
        if p.returncode:
            refused += 1
            if leaf.rsplit(".", 1)[-1] not in p.stderr or "parse error" in p.stderr:
                wrong.append((name, text, p.stderr[:300]))
            continue
        try:
            docs = documents(p.stdout)
            said = plugin_says(docs)
            if text and not name.endswith("[]"):
                said = said or shape_differs(base, docs)
        except yaml.YAMLError as e:
            said = str(e)
        if said:
            wrong.append((name, text, said[:300]))
    t.equal(wrong, [], f"{n} odd strings in values are refused by name ({refused}) or come out as they were written")
    t.ok(0 < refused < n, "... and both happen")


def doubled(t, helm: str) -> None:
    """Keys that the chart sets as well: its own stay, once."""
    own = {
        ("nodeSelector", "kubernetes.io/os"): "linux", ("runtimeClasses", "nonoRunc", "nodeSelector", "kubernetes.io/os"): "linux",
        ("podLabels", "app.kubernetes.io/name"): "theirs", ("podLabels", "further"): "on", ("podAnnotations", "checksum/config"): "theirs",
        ("podAnnotations", "further"): "12", ("monitoring", "labels", "app.kubernetes.io/name"): "theirs",
        ("nodeSelector", "katacontainers.io/kata-runtime"): "true",
    }  # fmt: skip
    p = template(helm, {**ALL, **own})
    docs = documents(p.stdout) if p.returncode == 0 else []
    t.ok(docs, "labels, annotations and selectors that the chart sets as well stand once", p.stderr)
    meta = [d["spec"]["template"]["metadata"] for d in docs if d["kind"] == "DaemonSet" and d["metadata"]["name"] == "t-kubefence"]
    t.equal([(m["labels"]["app.kubernetes.io/name"], m["labels"]["further"], m["annotations"]["further"], m["annotations"]["checksum/config"] != "theirs") for m in meta],
            [("kubefence", "on", "12", True)], "the chart's own are the ones that count, and others are there as they were written")
    for release in ("12", "on", "1e3", "a.b", "x" * 53):
        docs = documents(template(helm, ALL, release).stdout)
        labels = {d["metadata"]["labels"]["app.kubernetes.io/instance"] for d in docs}
        long = [d["metadata"]["name"] for d in docs if d["kind"] in ("Job", "Service") and len(d["metadata"]["name"]) > 63]
        t.equal((labels, long), ({release}, []), f"a release may be called {release}")


def test(t, helm: str, whole: bool) -> None:
    number = seed.choose()
    rng = random.Random(number)
    t.case("switches", switches, t, helm, rng)
    t.case("odd strings", odd, t, helm, rng, 800 if whole else 60)
    t.case("doubled", doubled, t, helm)
    if t.failed:
        print(f"# KF_SEED={number}", flush=True)
