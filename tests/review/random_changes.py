# SPDX-License-Identifier: Apache-2.0
"""Random changes: what the container sees is what is committed, and what is discarded has never been."""
import os
import random

from lib import seed
from lib_review import KEPT, Pod, committed, differences, is_special, tree
from random_tree import Changes


def one_pod(t, node, start: int, rounds: int, operations: int) -> bool:
    rng = random.Random(start)

    def fill(volume):
        Changes(volume, random.Random(start + 1), special=False).many(operations)
        for d, dirs, files in os.walk(os.fsencode(volume)):
            for n in files:
                p = os.path.join(d, n)
                if not os.path.islink(p):
                    os.chmod(p, os.lstat(p).st_mode & 0o1777)  # nothing privileged to begin with

    with Pod(node, fill=fill) as pod:
        for n in range(rounds):
            done = Changes(pod.seen, rng).many(operations)
            before, seen = tree(pod.volume), tree(pod.seen)
            want = committed(seen, before, pod.store / "upper")
            restarted = n % 3 == 2
            if restarted:
                pod.stop()
            r = pod.kubefence("commit")
            after = tree(pod.volume)
            if not after.same(want) or r.code not in (0, 1) or (r.code == 0) != (not any(map(is_special, seen.values())) and "not committed" not in r.err):
                t.ok(False, f"seed {start}, round {n}", f"{r}\n{differences(after, want)}\n{' '.join(filter(None, done))}")
                return False
            if restarted:
                pod.start()
            # The container goes on with what it had, and nothing is left to be done.
            now = tree(pod.seen)
            again = pod.kubefence("diff")
            left = [line for line in again.out.splitlines() if line[:2] in ("A ", "M ", "m ", "T ", "D ")]
            if now != seen and not (restarted and r.code == 0 and now == want) or left or again.code:
                t.ok(False, f"seed {start}, round {n}: after it", f"{again}\n{differences(now, seen)}\n{' '.join(filter(None, done))}")
                return False
        # The rest is discarded.
        before = tree(pod.volume)
        Changes(pod.seen, rng).many(operations)
        pod.stop()
        pod.kubefence("discard")
        if not tree(pod.volume).same(before) or (KEPT / pod.uid).exists():
            t.ok(False, f"seed {start}: discard", differences(tree(pod.volume), before))
            return False
    return True


def what_is_seen(t, node, mode):
    base = seed.choose()
    pods, rounds, operations = (1, 3, 40) if mode == "quick" else (int(os.environ.get("PODS") or 60), 6, 60)
    good = sum(one_pod(t, node, base + i, rounds, operations) for i in range(pods))
    t.ok(good == pods, f"random changes of {pods} pods, {rounds} commits each: the volume is what the container saw, "
         f"and untouched where they were discarded", f"KF_SEED={base}: {good} of {pods}")


CASES = (what_is_seen,)
