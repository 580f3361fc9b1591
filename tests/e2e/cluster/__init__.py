# SPDX-License-Identifier: Apache-2.0
"""The product on a real Kubernetes; each part boots one of its own."""
from lib.tap import Tap

from . import admission, chart, denied, given, holds, migrate, monitored, starts, upgrade, values

PARTS = {
    "admission": admission.run,
    "chart": chart.run,
    "denied": denied.run,
    "given": given.run,
    "holds": holds.run,
    "migrate": migrate.run,
    "monitored": monitored.run,
    "starts": starts.run,
    "upgrade": upgrade.run,
    "values": values.run,
}


def run(t: Tap, *parts: str) -> None:
    for name in parts or PARTS:
        t.case(f"cluster {name}", PARTS[name], t)
