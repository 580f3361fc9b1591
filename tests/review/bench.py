# SPDX-License-Identifier: Apache-2.0
"""What the overlay costs a program that opens many files: two containers of one pod, under one profile, the one with the volume
under review and the other with the volume itself, by turns."""
import statistics
import subprocess
from pathlib import Path

from lib_review import Pod

HERE = Path(__file__).resolve().parent
FILES, ROUNDS, TURNS = 3_000, 3, 5


def opens(node) -> None:
    program = node.dir / "bench"
    subprocess.run(["gcc", "-static", "-O2", "-o", program, HERE / "bench.c"], check=True)

    def fill(volume: Path) -> None:
        (volume / "bench").write_bytes(program.read_bytes())
        (volume / "bench").chmod(0o755)
        for i in range(FILES):
            d = volume / f"src/{i % 100}"
            d.mkdir(parents=True, exist_ok=True)
            (d / str(i)).write_text("x" * 1500)

    # In memory, so that no disk is measured.
    where = node.dir / "volume"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "bench", where], check=True)
    try:
        compare(node, where, fill)
    finally:
        subprocess.run(["umount", where], check=True)


def compare(node, where: Path, fill) -> None:
    with Pod(node, volume=where, value="review:/work", fill=fill) as pod:
        plain = pod.start(reviewed=False)
        reviewed = pod.ids[0]
        search = "for i in 1 2 3 4 5; do grep -r nothing /work/src; done"
        for what, unit, measure in (
            (f"open, read and close a file, of {FILES}", "ns", lambda cid: float(node.exec(cid, "/work/bench", "/work/src", str(FILES), str(ROUNDS)).out)),
            (f"grep -r in {FILES} files, 5 times", "s", lambda cid: seconds(node.exec(cid, "/bin/busybox", "time", "-p", "sh", "-c", search).err)),
        ):
            took: dict[str, list[float]] = {reviewed: [], plain: []}
            for _ in range(TURNS):
                for cid, times in took.items():
                    times.append(measure(cid))
            a, b = (statistics.median(took[c]) for c in (reviewed, plain))
            c, d = min(took[reviewed]), min(took[plain])
            print(f"{what}: under review {a:.4g} {unit}, the volume itself {b:.4g} {unit}: {a / b:.2f}x; the best of each {c:.4g} and {d:.4g}: {c / d:.2f}x")


def seconds(said: str) -> float:
    """Of user and system together, as time -p says: who else runs does not count."""
    return sum(float(line.split()[1]) for line in said.splitlines() if line.startswith(("user", "sys")))
