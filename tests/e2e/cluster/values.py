# SPDX-License-Identifier: Apache-2.0
"""The chart's values on a real API server: Helm upgrades one release through sets of values in which each two switches
are in each state, and afterwards through everything on to nearly nothing; all that is wanted then runs."""
import random
import sys
import tempfile

from lib import node, seed
from lib.cluster import NODE
from lib.cri import wait_until
from lib.tap import Tap

from . import pods
from .chart import CHART, SYSTEM, Installed

sys.path.insert(0, str(node.ROOT / "tests/chart"))
import spellings  # noqa: E402

# The Prometheus operator's kinds are not there, and a namespace that goes would be in the way of the same one that comes.
NOT_HERE = {"monitoring.enabled": False, "review.enabled": False}


def upgrade(i: Installed, line: str, flat: dict):
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as f:
        f.write(spellings.values_text({**flat, **NOT_HERE}))
        f.flush()
        return i.helm("upgrade", "--install", "kf", str(CHART), "--reset-values", "-f", f.name, line=line, check=False)


def unavailable(i: Installed) -> list[str]:
    sets = i.k.get("daemonsets", "-n", SYSTEM)["items"]
    return [f"{s['metadata']['name']}: {s['status']}" for s in sets if s["status"].get("observedGeneration") != s["metadata"]["generation"]
            or s["status"].get("updatedNumberScheduled") != 1 or s["status"].get("numberAvailable") != 1]  # fmt: skip


def through(t: Tap, i: Installed, line: str, rng: random.Random) -> None:
    name = f"Helm {line or '4'}"
    sets = spellings.drawn_sets(rng)
    wrong = [(s, r.err[-600:]) for s in sets if (r := upgrade(i, line, s)).code]
    t.equal(wrong, [], f"{name}: {len(sets)} sets of values with each pair of switches are taken, one after the other")
    r = upgrade(i, line, spellings.ALL | {"kata.enabled": False})
    t.ok(r.code == 0, f"{name}: everything is switched on", r.err)
    r = upgrade(i, line, {"denials.enabled": True, "denials.events": False})
    t.ok(r.code == 0, f"{name}: ... and off, also the service accounts", r.err)
    try:
        wait_until(lambda: not unavailable(i), "all DaemonSets to be there", 180)
        i.wait_ready()
    except Exception as e:  # with what the pods say
        t.ok(False, f"{name}: then all that is wanted runs", f"{e}\n{unavailable(i)}\n{i.report()}\n{i.k.kubectl('get', 'events', '-n', SYSTEM, check=False).out}")
        return
    t.ok(True, f"{name}: then all that is wanted runs")
    unmarked(t, i, line, name)


def marks(i: Installed) -> list[str]:
    """What the agents have written on the node."""
    node_ = i.k.get("node", NODE)
    return [*(x for x in node_["metadata"]["labels"] if "nono.sh" in x), *(x["type"] for x in node_["status"]["conditions"] if "nono.sh" in x["type"]),
            *(x["key"] for x in node_["spec"].get("taints", []) if "nono.sh" in x["key"])]  # fmt: skip


def unmarked(t: Tap, i: Installed, line: str, name: str) -> None:
    """Without agents nobody could take back that a node is ready: then no node says so, and what is set up stays."""
    t.ok("nono.sh/ready" in marks(i) and "nono.sh/Ready" in marks(i), f"{name}: control: the node is marked", marks(i))
    r = upgrade(i, line, {"nodeSetup.enabled": False})
    t.ok(r.code == 0 and not marks(i), f"{name}: nodeSetup.enabled=false takes the agents' marks from the nodes", (r, marks(i)))
    i.k.apply(pods.pod("still"))
    i.k.wait_pod("still")
    t.equal(i.k.exec("still", "sh", "-c", pods.PROBE).out.strip(), "sandboxed", f"{name}: ... and leaves them set up: a pod and what enters it are sandboxed")
    i.k.kubectl("delete", "pod", "still", "--grace-period=1")
    left = i.k.kubectl("get", "job,serviceaccount,clusterrole,clusterrolebinding", "-A", "-o", "name").split()
    t.equal([x for x in left if "unmark" in x], [], f"{name}: ... nothing is left of the job that does it")
    r = upgrade(i, line, {})
    t.ok(r.code == 0, f"{name}: nodeSetup can be switched on again", r.err)
    i.wait_ready()


def run(t: Tap) -> None:
    number = seed.choose()
    with Installed(t) as i:
        for line in ("", "3"):
            t.case(f"values, Helm {line or '4'}", through, t, i, line, random.Random(number))
    if t.failed:
        print(f"# KF_SEED={number}", flush=True)
