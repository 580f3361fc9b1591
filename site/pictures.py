#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pictures.py [--check]: docs/pictures/*.svg, drawn by Graphviz from the .dot beside each; the demo's from a real run.

The colours follow the reader's: dark on light, light on dark.  Each picture has its source's checksum in it, so that
--check finds one that was not drawn again.
"""
import hashlib
import html
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs/pictures"
STYLE = ("<style>:root{color:#222;background:none}text{fill:currentColor;font-family:sans-serif}"
         "@media (prefers-color-scheme:dark){:root{color:#ddd}}</style>")
TERMINAL = ("<style>:root{color:#222}text{fill:currentColor;font:13px ui-monospace,monospace;white-space:pre}"
            ".g{fill:#187a33}.d{fill:#777}@media (prefers-color-scheme:dark){:root{color:#ddd}.g{fill:#5fd380}.d{fill:#999}}</style>")


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def draw(source: Path) -> str:
    text = source.read_text()
    svg = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True).stdout
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<polygon fill="white"[^>]*/>\n', "", svg, count=1)
    svg = svg.replace('"black"', '"currentColor"').replace("<g id=\"graph0\"", f"{STYLE}\n<g id=\"graph0\"", 1)
    return f"<!-- drawn from {source.name} {checksum(text)} by site/pictures.py -->\n{svg}"


def demo() -> str:
    """What `make demo` prints, line by line, as a picture of a terminal."""
    out = subprocess.run([ROOT / "scripts/demo"], capture_output=True, text=True, check=True).stdout.strip().splitlines()
    rows = []
    for number, line in enumerate(["$ make demo", "", *out]):
        text = html.escape(line.expandtabs()).replace("  ", "\u00a0\u00a0")
        text = text.replace("as promised", '<tspan class="g">as promised</tspan>')
        kind = ' class="d"' if line.startswith("$") else ' class="g"' if line.startswith("Verdict") else ""
        rows.append(f'<text x="16" y="{24 + 19 * number}"{kind}>{text}</text>')
    width, height = 16 + 8 * max(len(line) for line in out) + 16, 24 + 19 * (len(out) + 2)
    source = checksum((ROOT / "scripts/demo").read_text())
    return (f"<!-- a run of scripts/demo {source}, by site/pictures.py -->\n"
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n{TERMINAL}\n'
            + '<rect x="1" y="1" width="99.7%" height="99%" rx="8" fill="none" stroke="currentColor" stroke-opacity="0.3"/>\n'
            + "\n".join(rows) + "\n</svg>\n")


def stale() -> list[str]:
    found = []
    for source in [*sorted(PICTURES.glob("*.dot")), ROOT / "scripts/demo"]:
        picture = PICTURES / f"{source.stem}.svg"
        if not picture.exists() or f"{source.name} {checksum(source.read_text())}" not in picture.read_text().replace("scripts/demo ", "demo "):
            found.append(picture.name)
    return found


def main() -> int:
    if sys.argv[1:] == ["--check"]:
        for name in stale():
            print(f"{name} is not of its source: make pictures")
        return 1 if stale() else 0
    for source in sorted(PICTURES.glob("*.dot")):
        source.with_suffix(".svg").write_text(draw(source))
    (PICTURES / "demo.svg").write_text(demo())
    return 0


if __name__ == "__main__":
    sys.exit(main())
