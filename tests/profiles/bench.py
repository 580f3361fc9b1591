# SPDX-License-Identifier: Apache-2.0
"""How long a profile of 500 rules takes to compile, against starting the program at all."""
import os
import subprocess
import tempfile
import time

import corpus
import generate


def best(args: list[str], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(args, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return min(times) * 1000


def run() -> int:
    with tempfile.TemporaryDirectory() as d:
        path = f"{d}/many.json"
        generate.write(path, {"extends": "default", "filesystem": {
            "read": [f"/opt/app{i}/lib" for i in range(250)], "allow": [f"/srv/data{i}" for i in range(200)],
            "deny": [f"/srv/data{i}/secret" for i in range(50)]}})
        start = best([corpus.KUBEFENCE, "--version"], 50)
        compile_ = best([corpus.KUBEFENCE, "profile", "compile", path], 50)
        small = best([corpus.KUBEFENCE, "profile", "compile", "default"], 50)
    print(f"compile 500 rules: {compile_ - start:.2f} ms beyond starting the program ({start:.2f} ms); "
          f"ratio to compiling default: {(compile_ - start) / max(small - start, 0.01):.1f}")
    return 0 if compile_ - start < 5 or os.environ.get("BENCH_NO_LIMIT") else 1
