# SPDX-License-Identifier: Apache-2.0
"""What the platform's people see: a real Prometheus scrapes the pods as the chart's PodMonitors say, each panel of the dashboard has data, the
rules are evaluated; and the page of a node, over kubectl port-forward.

There is no Prometheus operator: its kinds are there, so that the API server takes the chart's objects, and the few lines that it would make of
them are made here."""
import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from lib import auditlog, node, tools
from lib.cri import Timeout, wait_until
from lib.tap import Tap

from . import pods
from .chart import CHART, PLUGIN, SYSTEM
from .denied import Told

sys.path.insert(0, str(node.ROOT / "tests/monitoring"))
import dashboard  # noqa: E402

ON = ("monitoring.enabled=true", "denials.enabled=true", "denials.turnOnAudit=true")
# So often it scrapes and evaluates, and so far back panels look.
EVERY, BACK = "2s", "30s"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def kind(name: str, plural: str) -> dict:
    """A kind of the operator's, of whatever content."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.monitoring.coreos.com"},
            "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "names": {"kind": name, "plural": plural, "singular": name.lower()},
                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}]}}


def snake(key: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in key)


class Prometheus:
    """The server, with what an operator would make of the chart's objects."""

    def __init__(self, i: Told):
        self.dir, self.port = i.k.c.dir / "prometheus", free_port()
        self.dir.mkdir()
        rules = [r["spec"] for r in i.k.get("prometheusrules", "-n", SYSTEM)["items"]]
        (self.dir / "rules.json").write_text(json.dumps({"groups": [g for r in rules for g in r["groups"]]}))
        monitors = i.k.get("podmonitors", "-n", SYSTEM)["items"]
        config = {"global": {"scrape_interval": EVERY, "scrape_timeout": EVERY, "evaluation_interval": EVERY}, "rule_files": [f"{self.dir}/rules.json"],
                  "scrape_configs": [self.job(i, m, e) for m in monitors for e in m["spec"]["podMetricsEndpoints"]]}
        (self.dir / "config.json").write_text(json.dumps(config))
        with open(self.dir / "log", "wb") as log:
            self.process = subprocess.Popen(
                [tools.program("prometheus"), f"--config.file={self.dir}/config.json", f"--storage.tsdb.path={self.dir}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)

    @staticmethod
    def job(i: Told, monitor: dict, endpoint: dict) -> dict:
        spec = monitor["spec"]
        selector = ",".join(f"{k}={v}" for k, v in spec["selector"]["matchLabels"].items())
        keep = [{"source_labels": ["__meta_kubernetes_pod_container_port_name"], "regex": endpoint["port"], "action": "keep"},
                {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Running", "action": "keep"}]
        return {"job_name": f"{SYSTEM}/{monitor['metadata']['name']}", "metrics_path": endpoint["path"],
                "kubernetes_sd_configs": [{"role": "pod", "kubeconfig_file": str(i.k.pki / "admin.kubeconfig"),
                                           "namespaces": {"names": spec["namespaceSelector"]["matchNames"]},
                                           "selectors": [{"role": "pod", "label": selector}]}],
                "relabel_configs": [*keep, *({snake(k): v for k, v in r.items()} for r in endpoint["relabelings"])]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def api(self, path: str, **args: str):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(args)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as f:
                return json.load(f)["data"]
        except (OSError, urllib.error.HTTPError) as e:
            if self.process.poll() is not None:
                raise RuntimeError((self.dir / "log").read_text()[-3000:]) from e
            return None

    def ask(self, query: str) -> list[tuple[dict, float]]:
        answer = self.api("query", query=query.replace("$__rate_interval", BACK))
        return [(x["metric"], float(x["value"][1])) for x in answer["result"]] if answer else []


def scraped(t: Tap, i: Told, p: Prometheus) -> None:
    def targets() -> list[dict]:
        found = (p.api("targets") or {}).get("activeTargets", [])
        return found if len(found) == 2 and all(x["health"] == "up" for x in found) else []

    found = wait_until(targets, "both targets", 120)
    t.equal({(x["labels"]["instance"], x["labels"]["job"]) for x in found},
            {("kfnode", f"{SYSTEM}/kf-kubefence-plugin"), ("kfnode", f"{SYSTEM}/kf-kubefence-denials")},
            "the PodMonitors' pods are found and scraped through their ports, named by their nodes")
    t.equal([x["lastError"] for x in found], ["", ""], "... without an error")


def panels(t: Tap, i: Told, p: Prometheus) -> None:
    """Life on the node, of each kind; then every query of every panel."""
    k = i.k
    for name, profile in (("a", "default"), ("b", "strict")):
        k.apply(pods.pod(name, "exec sleep 6000", annotations={"nono.sh/profile": profile}))
    k.apply(pods.pod("refused", "exec sleep 6000", annotations={"nono.sh/profile": "no-such"}))
    for name in ("a", "b"):
        k.wait_pod(name)
    k.exec("a", "sh", "-c", "echo x >/etc/denied")
    tried = wait_until(lambda: [n for _, n in p.ask('nono_nri_containers_total{decision="refuse"}') if n >= 3], "a kubelet that tries again", 180)
    once = wait_until(lambda: p.ask('nono_nri_decisions_total{decision="refuse"}'), "the refusal")
    t.equal([(m["reason"], m.get("profile", ""), n) for m, n in once], [("profile-unknown", "", 1.0)], f"a real kubelet tried {tried[0]:.0f} times: one refusal")
    wait_until(lambda: p.ask("kubefence_denials_total"), "a denial", 60)
    asked = [(title, expr) for title, _, _, queries in dashboard.PANELS for expr, _ in queries]

    def missing() -> list[str]:
        return [title for title, expr in asked if not p.ask(expr)]

    with contextlib.suppress(Timeout):
        wait_until(lambda: not missing(), "every panel", 90)
    t.equal(missing(), [], f"each of the {len(asked)} queries of the dashboard's {len(dashboard.PANELS)} panels returns data")
    for query, want in (("sum(nono_nri_ready)", 1), ("sum(nono_nri_connected)", 1), ("count(nono_nri_handler_guarded == 1)", 1),
                        ("count(count by (version) (nono_nri_program_info))", 1), ("count(nono_nri_program_info)", 3)):
        t.equal([n for _, n in p.ask(query)], [want], f"{query} is {want}")
    got = {m.get("profile", ""): n for m, n in p.ask('nono_nri_decisions_total{decision="inject"}')}
    t.ok(got.get("default", 0) >= 1 and got.get("strict") == 1, "containers by profile", got)


def alerts(t: Tap, i: Told, p: Prometheus) -> None:
    def rules() -> list[dict]:
        found = [r for g in (p.api("rules") or {"groups": []})["groups"] for r in g["rules"]]
        return found if found and all(r["health"] == "ok" for r in found) else []

    found = wait_until(rules, "all rules to be evaluated", 60)
    text = (node.ROOT / "charts/kubefence/files/rules.yaml").read_text()
    t.equal({r["name"] for r in found}, {line.split(": ")[1] for line in text.splitlines() if "- alert: " in line}, "each alert is evaluated, without an error")
    firing = {r["name"] for r in found if r["state"] == "firing"}
    t.equal(firing & {"KubefencePluginNotReady", "KubefenceContainersUnsandboxed", "KubefenceProgramsDiffer", "KubefenceVersionSkew"}, set(),
            "... and none of a node in disorder fires")


def page(t: Tap, i: Told, p: Prometheus) -> None:
    """The page: over the right to port-forward, and not for whoever reaches the pod."""
    pod = i.pods(PLUGIN)[0]
    port = free_port()
    forward = subprocess.Popen(i.k.client(i.k.bin / "kubectl", "port-forward", "-n", SYSTEM, pod["metadata"]["name"], f"{port}:9464"),
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def get(url: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=60) as f:
                return f.status, f.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    try:
        said = forward.stdout.readline()
        t.ok("Forwarding" in said, "control: kubectl port-forward", said)
        code, text = get(f"http://localhost:{port}/")
        t.ok(code == 200 and text.rstrip().endswith("</html>"), "kubectl port-forward leads to the page", text[:200])
        state = json.loads(get(f"http://localhost:{port}/status.json")[1])
        shown = {(c["pod"], c["profile"], c["guard"]) for c in state["containers"]}
        t.ok({("a", "default", True), ("b", "strict", True)} <= shown and state["node"] == "kfnode" and state["ready"], "... with the pods of the node", state)
        t.equal({x["version"] for x in state["programs"]}, {i.version}, "... and one version of plugin, launcher and guard")
        t.equal((state["denial_feed"], "/etc" in get(f"http://localhost:{port}/denials.jsonl")[1]), ("on", True), "... and what was denied")
    finally:
        forward.kill()
        forward.wait()
    direct = f"http://{pod['status']['podIP']}:9464"
    t.equal([get(direct + path)[0] for path in ("/metrics", "/status.json", "/denials.jsonl")], [200, 403, 403],
            "whoever reaches the pod's address gets metrics, and no names")


def guard_refuses(t: Tap, i: Told, p: Prometheus) -> None:
    """The guard is gone when it has refused; the plugin knows of it."""
    i.helm("upgrade", "kf", str(CHART), "--wait", values=(*ON, "config.exec=deny"))
    i.wait_ready()

    def denied() -> bool:
        r = i.k.exec("b", "true")
        return r.code != 0 and "may not enter" in r.err + r.out

    wait_until(denied, "exec to be denied", 120)
    for _ in range(3):
        denied()
    got = wait_until(lambda: [(m["command"], m["profile"], n) for m, n in p.ask("nono_nri_guard_refused_total")], "what the guard refused", 60)
    t.equal(got, [("exec", "strict", 1.0)], "an exec that the guard refused four times and more is counted, once")


PARTS = (scraped, panels, alerts, page, guard_refuses)


def run(t: Tap) -> None:
    try:
        with auditlog.ours() as before:
            auditlog.set_status(0, before["limit"], before["wait"])
            with Told(t, own_network=False) as i:
                i.k.apply(kind("PodMonitor", "podmonitors"))
                i.k.apply(kind("PrometheusRule", "prometheusrules"))
                for crd in ("podmonitors", "prometheusrules"):
                    i.k.kubectl("wait", "--for=condition=Established", f"crd/{crd}.monitoring.coreos.com", "--timeout=60s")
                i.helm("install", "kf", str(CHART), values=ON)
                i.wait_ready()
                i.feed()
                with Prometheus(i) as p:
                    for part in PARTS:
                        start = time.monotonic()
                        t.case(f"monitored: {part.__name__}", part, t, i, p)
                        print(f"# {part.__name__}: {time.monotonic() - start:.0f} s", flush=True)
    except auditlog.Unavailable as e:
        t.skip("monitoring with denials in the audit log", str(e))
