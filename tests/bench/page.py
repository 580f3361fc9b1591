# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md and the plots in docs/benchmarks/, from the figures that the benches have kept in out/bench."""
import textwrap
import xml.dom.minidom
from pathlib import Path

import running
from lib import figures

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs"
PAGE, PLOTS, HEAD = DOCS / "benchmarks.md", DOCS / "benchmarks", HERE / "benchmarks.head.md"
BARE, FILTER, ONE = running.BARE, running.FILTER, running.ONE
# Columns of the tables: heading, container, what it is compared with.
COLUMNS = (
    ("one rule", ONE, BARE), ("`default`", "default", BARE), ("`default` to one rule", "default", ONE), ("RuntimeDefault alone", FILTER, BARE),
    ("`default`, runtime-default", "default, runtime-default", FILTER), ("`default`, agent", "default, agent", FILTER),
    ("`default`, restricted", "default, restricted", FILTER), ("`claude-code`", "claude-code", BARE), ("`claude-code`, agent", "claude-code, agent", FILTER),
)
PLOT = {
    "containers": ("Synchronize by containers of the node", "containers", "ms"),
    "memory": ("Memory of the plugin by containers of the node", "containers", "MiB resident"),
    "rules": ("Start through the launcher by rules of the profile", "rules", "microseconds"),
    "denials": ("Start through the launcher by denials in one directory", "denials", "microseconds"),
    "mounts": ("Processor time of the guard's create by mounts", "mounts", "microseconds"),
    "args": ("Processor time of the guard's create by arguments", "arguments", "microseconds"),
    "soak": ("Memory of the plugin over creations with faults", "creations", "KiB resident"),
}


def kept(part: str) -> dict:
    """{} if that part was not measured."""
    try:
        return figures.kept(part)
    except RuntimeError:
        return {}


def missing(part: str) -> str:
    return f"Not measured in this run: `tests/bench/run bench {part}`.\n"


def measured(f: dict, more: str = "") -> str:
    return f"Measured on {f['date']}, Linux {f['kernel']}, {f['processors']} processors. {more}".strip() + "\n"


def image(*names: str) -> list[str]:
    return [f"![{PLOT[name][0]}](benchmarks/{name}.svg)\n" for name in names]


def table(heads: list[str], rows: list[list]) -> str:
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in (heads, ["---", *["---:"] * (len(heads) - 1)], *rows)) + "\n"


def compared(unit: str, rows: dict) -> str:
    """One row for each thing that was measured, a column for each pair of containers."""
    out = []
    for what, row in rows.items():
        spread = (row["cpu"][name][reference] for _, name, reference in COLUMNS)
        out.append([what, f"{row[unit]:,.0f}", *(f"{median:.3f} ({low:.2f}-{high:.2f})" for median, low, high in spread)])
    return table(["", f"bare, {unit}", *(head for head, _, _ in COLUMNS)], out)


def paragraph(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent)


def plots() -> dict[str, str]:
    sync, size, soaked = figures.kept("synchronize"), figures.kept("by-size"), figures.kept("soak")  # without them there are no plots
    lines: dict[str, dict[str, list]] = {"containers": sync["ms"], "memory": {"nono-nri": sync["memory"]}}
    for what in ("rules", "denials", "mounts", "args"):
        lines[what] = {"nono wrap" if what in ("rules", "denials") else "nono-runc": size[what]}
    lines["soak"] = {}
    for how, n, kib in soaked["points"]:
        lines["soak"].setdefault(how.removeprefix("NRI ").replace("without the guard", "alone").replace("with the guard", "guard"), []).append((n, kib))
    return {name: figures.svg(*PLOT[name], of) for name, of in lines.items()}


def targets(start: dict) -> str:
    rows = []
    for part, limits in running.LIMITS.items():
        for what, row in kept(part).get("servers" if part == "servers" else "programs", {}).items():
            rows += [[f"{what}, {name} to {reference}", row["cpu"][name][reference][0], limit] for name, reference, limit in limits]
    # "start of a pod, seccomp runtime default, with what"
    rows += [["start of a pod, " + what.split(", ", 2)[2] + ", to RuntimeDefault", ratio, 1.01]
             for what, _, ratio in start["rows"] if what.startswith("start of a pod, seccomp runtime default")]
    return table(["", "ratio", "at most", ""], [[what, f"{got:.3f}", limit, "" if got <= limit else "missed"] for what, got, limit in rows])


def running_cost() -> list[str]:
    out = []
    for part, head, unit, more in (("files", "Programs that open many files", "ms", "Processor time, medians of {} pairs (quartiles)."),
                                   ("programs", "Other programs", "ms", "Processor time, medians of {} pairs (quartiles)."),
                                   ("servers", "Servers under load", "ns", "Time of a request,\nmedians of {} pairs (quartiles); the client has no sandbox."),
                                   ("calls", "Single system calls", "ns", "Medians of {} pairs (quartiles).")):
        f = kept(part)
        out += [f"## {head}\n", missing(part)] if not f else [f"## {head}\n", measured(f, more.format(f["rounds"])), compared(unit, f["programs" if part == "files" else part])]
    return out


def starting(start: dict) -> list[str]:
    f = figures.kept("launcher")
    return ["## Starting\n", measured(start), table(["", "ms without", "ratio with the sandbox"], [[what, f"{bare:.1f}", f"{ratio:.3f}"] for what, bare, ratio in start["rows"]]),
            paragraph(f"The launcher: {f['bare']:.0f} us for a bare `/bin/true`, {f['least']:.0f} us behind the least C program that installs the same "
                      f"{f['rules']} rules, {f['nono']:.0f} us behind `nono wrap` (medians of {f['rounds']}).") + "\n",
            *image("rules", "denials", "mounts", "args")]


def many_at_once() -> list[str]:
    pods, entering, soaked = (kept(n) for n in ("pods-at-once", "exec", "soak"))
    points = []
    if pods:
        points.append(f"{pods['pods']} pods, {pods['beside']} side by side, on a real containerd: {pods['runc']['seconds']} s without the sandbox, "
                      f"{pods['nono-runc']['seconds']} s with guard and plugin (ratio {pods['ratio']}). {pods['nono-runc']['failures']} of them failed."
                      + (f" The bench asks for {pods['wanted']}; the machine had memory for {pods['pods']}." if pods["pods"] < pods["wanted"] else ""))
    if entering:
        points.append(f"Processes that enter a container, one after the other on each processor: {entering['bare']:.0f} a second by the bare runtime, "
                      f"{entering['guard']:.0f} through the guard (ratio {entering['ratio']}).")
    points.append(f"{soaked['creates']:,} creations by the plugin and {soaked['guard']:,} by the guard while the runtime was killed, sockets were closed, "
                  "configurations changed, disks were full and records came and went: none failed, and nothing grew.")
    return ["## Many at once\n", measured(soaked), "\n".join(paragraph(f"- {p}", "  ") for p in points) + "\n", *image("soak")]


def text() -> str:
    start, plugin = figures.kept("pod-start"), figures.kept("plugin")
    return "\n".join([HEAD.read_text().rstrip("\n") + "\n", targets(start), *running_cost(), *starting(start), "## The plugin as the runtime sees it\n", measured(plugin),
                      table(["", "ratio", "at most"], [[what, f"{got:.2f}", limit] for what, got, limit in plugin["rows"]]), *image("containers", "memory"), *many_at_once()])


def write(t) -> None:
    page, drawn = text(), plots()
    PLOTS.mkdir(exist_ok=True)
    for old in PLOTS.glob("*.svg"):
        old.unlink()
    for name, svg in drawn.items():
        (PLOTS / f"{name}.svg").write_text(svg)
    PAGE.write_text(page)
    t.ok(True, f"docs/{PAGE.name} and {len(drawn)} plots are written")


def check(t) -> None:
    """What holds whatever was measured: the page begins with its head, and shows all plots, which are XML in the page's colour."""
    t.ok(PAGE.read_text().startswith(HEAD.read_text().rstrip("\n")), "docs/benchmarks.md begins with tests/bench/benchmarks.head.md; tests/bench/run docs writes it")
    shown = PAGE.read_text()
    t.equal(sorted(p.name for p in PLOTS.iterdir() if f"(benchmarks/{p.name})" not in shown), [], "it shows each plot of docs/benchmarks")
    for p in sorted(PLOTS.iterdir()):
        root = xml.dom.minidom.parse(str(p)).documentElement
        colours = {e.getAttribute(a) for e in root.getElementsByTagName("*") for a in ("stroke", "fill")} - {"", "none"}
        t.equal((root.tagName, root.getAttribute("fill"), colours - {"currentColor"}), ("svg", "currentColor", set()), f"{p.name} takes the colour of the page")
    flat = figures.svg("t", "x", "y", {"a": [(0, 1.0), (10, 1.0)]})
    t.ok("M64 " in flat and "L490" in flat, "control: a line reaches from the first to the last point", flat)
