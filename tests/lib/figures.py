# SPDX-License-Identifier: Apache-2.0
"""What benches measured, kept in out/bench until the page is written, and drawn."""
import datetime
import json
import os
import statistics
from pathlib import Path

# The parts that another program than tests/bench/run measures.
ELSEWHERE = {"pod-start": "tests/e2e/run bench", "plugin": "tests/bench-nri/run bench", "soak": "make soak"}
OUT = Path(__file__).resolve().parents[2] / "out/bench"


def keep(part: str, figures: dict) -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    figures = {**figures, "date": datetime.date.today().isoformat(), "kernel": os.uname().release, "processors": os.cpu_count()}
    (OUT / f"{part}.json").write_text(json.dumps(figures, indent=1) + "\n")


def kept(part: str) -> dict:
    try:
        return json.loads((OUT / f"{part}.json").read_text())
    except FileNotFoundError:
        raise RuntimeError(f"{part} has not been measured: {ELSEWHERE.get(part, f'tests/bench/run bench {part}')}") from None


class Spread:
    """Median and quartiles of ratios that were taken in pairs, one after the other."""

    def __init__(self, got: list[float], reference: list[float]):
        ratios = [a / b for a, b in zip(got, reference, strict=True)]
        self.low, self.median, self.high = statistics.quantiles(ratios, method="inclusive")

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"

    def json(self) -> list[float]:
        return [round(v, 4) for v in (self.median, self.low, self.high)]


# ---- SVG ----

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 680, 320, 64, 190, 34, 44
DASHES = ("", "6 4", "2 3", "10 3 2 3")  # told apart by these, since the colour is the page's


def _step(top: float) -> float:
    """Between marks on an axis that ends at @top."""
    size = 10 ** len(str(int(top))) / 10 if top >= 1 else 0.1
    return next(s for s in (size / 10, size / 5, size / 2, size, size * 2) if top / s <= 6)


def _number(v: float) -> str:
    return f"{v:,.0f}" if v == int(v) else f"{v:.3g}"


def svg(title: str, x_name: str, y_name: str, lines: dict[str, list[tuple[float, float]]]) -> str:
    """A plot of @lines, each of points (x, y), from zero; it takes the colour of the text around it."""
    right, top = (max(p[i] for points in lines.values() for p in points) for i in (0, 1))
    sx, sy = _step(right), _step(top)
    top = sy * -(-top // sy)

    def x(v: float) -> float:
        return round(LEFT + v / right * (WIDTH - LEFT - RIGHT), 1)

    def y(v: float) -> float:
        return round(HEIGHT - BOTTOM - v / top * (HEIGHT - TOP - BOTTOM), 1)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" color="#777" fill="currentColor" '
           'font-family="sans-serif" font-size="12">',
           "<!-- SPDX-License-Identifier: Apache-2.0; written by tests/bench/run docs -->",
           f"<title>{title}</title>", "<style>@media (prefers-color-scheme: dark) { svg { color: #ccc } } @media (prefers-color-scheme: light) { svg { color: #333 } }</style>",
           f'<text x="{LEFT}" y="18" font-size="14">{title}</text>',
           f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{x_name}</text>',
           f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{y_name}</text>']
    for i in range(int(top / sy + 0.5) + 1):
        out.append(f'<path d="M{LEFT} {y(i * sy)}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity=".2"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y(i * sy) + 4}" text-anchor="end">{_number(i * sy)}</text>')
    for i in range(int(right / sx + 1e-9) + 1):
        out.append(f'<text x="{x(i * sx)}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_number(i * sx)}</text>')
    labels: list[float] = []
    for n, (name, points) in enumerate(lines.items()):
        path = "L".join(f"{x(a)} {y(b)}" for a, b in points)
        out.append(f'<path d="M{path}" fill="none" stroke="currentColor" stroke-width="1.8" stroke-dasharray="{DASHES[n % len(DASHES)]}"/>')
        at = y(points[-1][1]) + 4
        while any(abs(at - other) < 13 for other in labels):
            at += 1
        labels.append(at)
        out.append(f'<text x="{WIDTH - RIGHT + 6}" y="{at:.1f}">{name}</text>')
    return "\n".join([*out, "</svg>", ""])
