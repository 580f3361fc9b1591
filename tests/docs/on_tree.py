# SPDX-License-Identifier: Apache-2.0
"""The commands in the checkout: what make builds and shows, in the pages' order."""
import commands
from lib.tap import Tap
from play import play


def run(t: Tap, pages: list[str]) -> None:
    done = set()
    for b in commands.every():
        for place, command in zip(b.places(), b.commands()) if not b.reason else ():
            # What goes to a registry is played with the cluster that takes it from there.
            if place == "tree" and "cluster" not in b.places() and command not in done and (not pages or b.file in pages):
                done.add(command)
                play(t, b.file, command, list, {}, cwd=commands.ROOT)
