# SPDX-License-Identifier: Apache-2.0
"""Running one command of a page, as it is printed: by bash, comments included."""
import os
import re
import signal
import subprocess
import time

import expected
from lib.tap import Tap

# Words of the pages that stand for what a user has; whoever plays the commands says what they are.
WORDS = ("REGISTRY", "POD_IP", "POD", "NAMESPACE", "NODE")


def fill(command: str, words: dict[str, str]) -> str:
    """The command with the user's words."""
    for word in WORDS:
        if word in words:
            command = re.sub(rf"\b{word}\b", words[word], command)
    return command


def shown(command: str) -> str:
    return re.sub(r"\s*\\\n\s*", " ", re.sub(r"\s+# .*", "", command))


def obey_interrupts() -> None:
    """In a child: a shell that starts the tests behind its back has them ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def once(argv: list[str], *, endless: bool, env: dict[str, str], cwd, deadline: float) -> tuple[int, str]:
    p = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         errors="replace", start_new_session=True, preexec_fn=obey_interrupts)
    try:
        # One that ends by itself within this time was no endless one.
        out, _ = p.communicate(timeout=10 if endless else deadline)
        return p.returncode, out
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGINT if endless else signal.SIGKILL)
    try:
        out, _ = p.communicate(timeout=60)
        return (0 if endless else 124), out
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        out, _ = p.communicate()
        return 124, f"{out}\nit goes on in spite of Ctrl-C"


def play(t: Tap, file: str, command: str, wrap, words: dict[str, str], *, env: dict[str, str] | None = None, cwd=None, again: float = 0,
         deadline: float = 590) -> bool:
    """@wrap(argv) brings it to its place; it is tried again for @again seconds, as a user does while a pod starts."""
    want = expected.of(file, command)
    argv = ["bash", "-c", fill(command, words)]
    if re.search(r"\s-it\s", command):  # the reader sits at a terminal
        argv = ["script", "-qefc", fill(command, words), "/dev/null"]
    argv = wrap(argv)
    end = time.monotonic() + again
    start = time.monotonic()
    while True:
        status, out = once(argv, endless=want.endless, env={**os.environ, **(env or {})}, cwd=cwd, deadline=deadline)
        good = status in want.status and re.search(want.says, out)
        if good or time.monotonic() > end:
            break
        time.sleep(1)
    took = time.monotonic() - start
    return t.ok(good, f"{file}: {shown(command)[:150]} ({took:.0f} s)", f"exit {status}\n{out[-2500:]}")
