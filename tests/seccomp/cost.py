# SPDX-License-Identifier: Apache-2.0
"""What a system call costs under each level, as ratios to no filter and to moby's default profile
(all of its architectures, as containerd's RuntimeDefault has them); least of interleaved rounds."""
import json

import bundle
import conformance
import matrix

ROUNDS = 5


def measure(command: list, profiles: dict, calls=("getpid", "openat")) -> dict:
    best: dict = {name: dict.fromkeys(calls, 1e9) for name in profiles}
    for _ in range(ROUNDS):
        for name, profile in profiles.items():
            got = bundle.outcomes(bundle.run(command, profile, "bench"))
            for call in calls:
                best[name][call] = min(best[name][call], float(got[call]))
    return best


def run(t) -> None:
    moby = json.loads(conformance.go("run", "-mod=readonly", "."))[matrix.ARCH]
    if matrix.ARCH == "amd64":
        moby["architectures"] = matrix.LOCALHOST["architectures"]
    profiles = {"none": None, "moby": moby}
    profiles |= {level: conformance.level(level, matrix.ARCH) for level in conformance.LEVELS}
    profiles["intersection"] = matrix.intersection("restricted")
    best = measure(matrix.runtimes()["runc"], profiles)
    for call in ("getpid", "openat"):
        for name in profiles:
            ns = best[name][call]
            print(f"# {call:7} {name:16} {ns:8.1f} ns  {ns / best['none'][call]:.3f} x none  "
                  f"{ns / best['moby'][call]:.3f} x RuntimeDefault", flush=True)
    for level in conformance.LEVELS:
        ratio = best[level]["getpid"] / best["moby"]["getpid"]
        t.ok(ratio <= 1.05, f"getpid under {level} costs {ratio:.3f} times RuntimeDefault, at most 1.05")
