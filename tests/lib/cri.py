# SPDX-License-Identifier: Apache-2.0
"""Calls of the Kubernetes Container Runtime Interface."""
import itertools
import json
import os
import select
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from . import tools
from .wait import DEADLINE, Timeout, wait_until  # noqa: F401

class CriError(Exception):
    """The runtime refused; str() is its message."""


@dataclass
class Result:
    code: int
    out: str
    err: str = ""


def wait_pid(pid: int, deadline: float = DEADLINE) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not select.select([fd], [], [], deadline)[0]:
            raise Timeout(f"process {pid} still runs after {deadline:g} s")
    finally:
        os.close(fd)


class Client:
    """A connection to a CRI socket (tests/lib/go/cri); calls may come from many threads."""

    def __init__(self, sock: Path):
        self.sock = sock
        self._p: subprocess.Popen | None = None
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._waiting: dict[int, dict] = {}

    def _start(self) -> None:
        self._p = subprocess.Popen(
            [tools.program("cri"), str(self.sock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._read, args=(self._p,), daemon=True).start()

    def _read(self, p: subprocess.Popen) -> None:
        for line in p.stdout:
            answer = json.loads(line)
            slot = self._waiting.pop(answer["id"])
            slot["answer"] = answer
            slot["done"].set()

    def call(self, method: str, request: dict, deadline: float = DEADLINE) -> dict:
        """"RuntimeService/X" or "ImageService/X" with the request's protobuf JSON; the
        response as such, with the call's milliseconds as "ms".  Raises CriError."""
        slot = {"done": threading.Event()}
        with self._lock:
            if self._p is None:
                self._start()
            number = next(self._ids)
            self._waiting[number] = slot
            line = {"id": number, "method": method, "timeout": deadline, "request": request}
            self._p.stdin.write(json.dumps(line) + "\n")
            self._p.stdin.flush()
        if not slot["done"].wait(deadline + 5):
            raise Timeout(f"{method}: no answer in {deadline + 5:g} s")
        answer = slot["answer"]
        if answer.get("error", "").startswith("DeadlineExceeded"):
            raise Timeout(f"{method}: {answer['error']}")
        if "error" in answer:
            raise CriError(answer["error"])
        return {**answer["response"], "ms": answer["ms"]}

    def close(self) -> None:
        if self._p:
            self._p.stdin.close()
            self._p.kill()
            self._p.wait()
            self._p = None
