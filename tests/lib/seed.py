# SPDX-License-Identifier: Apache-2.0
"""The seed of tests that draw their cases.

KF_SEED=N repeats a run.  Otherwise `quick` always draws the same, so that it judges a change and not the dice, and `all`
draws anew each time."""
import os
import sys
import time


def choose() -> int:
    return int(os.environ.get("KF_SEED") or (time.time() if sys.argv[1:2] == ["all"] else 1))
