# SPDX-License-Identifier: Apache-2.0
"""The chart's values on a real API server: Helm upgrades one release through sets of values in which each two switches
are in each state, and afterwards through everything on to nearly nothing; all that is wanted then runs."""
import random
import sys
import tempfile

from lib import node, seed
from lib.cri import wait_until
from lib.tap import Tap

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


def run(t: Tap) -> None:
    number = seed.choose()
    with Installed(t) as i:
        for line in ("", "3"):
            t.case(f"values, Helm {line or '4'}", through, t, i, line, random.Random(number))
    if t.failed:
        print(f"# KF_SEED={number}", flush=True)
