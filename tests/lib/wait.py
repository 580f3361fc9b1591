# SPDX-License-Identifier: Apache-2.0
"""How tests wait, and our programs' JSON logs, which is what they mostly wait for."""
import json
import time

DEADLINE = 90.0  # seconds that any one step may take on a busy machine


class Timeout(Exception):
    pass


def wait_until(condition, what: str, deadline: float = DEADLINE):
    """Poll for what has no event of its own; the value of the first true answer."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"waited {deadline:g} s for {what}")
        time.sleep(0.02)


def log_entries(log: str, msg: str = "", **keys) -> list[dict]:
    """JSON lines of @log with message @msg (all if "") and these keys."""
    out = []
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if msg in ("", entry.get("msg")) and all(entry.get(k) == v for k, v in keys.items()):
            out.append(entry)
    return out
