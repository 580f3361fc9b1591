# SPDX-License-Identifier: Apache-2.0
"""The commands of README and docs/: what stands in their code blocks, and where each is run.

A comment stands above each block of commands, which readers of the pages do not see:

    <!-- run: tree -->              all commands of the block run there
    <!-- run: tree, machine -->     one place a command
    <!-- run: not REASON -->        no command, or none that a test can run; see REASONS

A block is what is indented by four, or fenced without a language or with "sh". A fence with another language has data in
it. A command goes to the end of its line, or further while lines end in a backslash.
"""
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

PLACES = {
    "tree": "the checkout, after make, as root",
    "node": "a machine of its own namespaces, with the real containerd and the programs in PATH, as root",
    "machine": "a fresh Debian 12 with systemd, containerd, and the packages of the tree (tests/packages)",
    "cluster": "whoever has kubectl and helm and a real Kubernetes with the chart",
    "pod": "a sandboxed pod of that cluster, by kubectl exec",
}
REASONS = {
    "output": "no command: what a program prints, or a file",
    "synopsis": "no command: the form of one",
    "kata": "needs Kata Containers and /dev/kvm; tests/kata runs these commands on Kata's own files, and its programs in place of the machine",
    "agent": "needs the agent's program, its account and the Internet; tests/agents runs the real agents",
    "release": "tests/packages runs it: 'run all dist'",
    "operator": "needs the types of Prometheus' operator; tests/e2e cluster monitored has them",
    "packages": "would install into this machine; tests/packages runs the same into a directory: 'run quick'",
    "review": "needs a pod whose changes wait for a review; tests/review runs these commands on such pods",
    "uninstalling": "needs an uninstall that failed; tests/e2e cluster chart has one, and runs these commands",
    "suite": "a run of the tests themselves, or a long part of them",
}


@dataclass
class Block:
    file: str
    line: int
    tag: str  # of the comment, "" if there is none
    lines: list[str]

    def commands(self) -> list[str]:
        found, open_line = [], ""
        for text in self.lines:
            open_line += text
            if not text.endswith("\\"):
                found += [open_line] if open_line.strip() else []
                open_line = ""
            else:
                open_line += "\n"
        return found

    @property
    def reason(self) -> str:
        return self.tag.removeprefix("not ") if self.tag.startswith("not ") else ""

    def places(self) -> list[str]:
        """One a command."""
        words = [w.strip() for w in self.tag.split(",")]
        return words * len(self.commands()) if len(words) == 1 else words


def blocks(file: str, text: str) -> list[Block]:
    found, tag, fence, inside, current, listed, blank = [], "", "", False, None, False, True
    for n, line in enumerate(text.splitlines(), 1):
        if inside:
            if line.startswith("```"):
                inside, current = False, None
            elif current:
                current.lines.append(line)
            continue
        if m := re.fullmatch(r"<!-- run: (.+?) -->", line):
            tag, current, listed = m[1], None, False
        elif line.startswith("```"):
            inside, fence, current = True, line[3:].strip(), None
            if fence in ("", "sh"):
                current = Block(file, n, tag, [])
                found.append(current)
            tag = ""
        elif line.startswith("    ") and (current or blank and not listed):
            if not current:
                current = Block(file, n, tag, [])
                found.append(current)
            current.lines.append(line[4:])
            tag = ""
        elif line.strip():
            current, tag = None, ""
            listed = bool(re.match(r"\s*([-*]|\d+\.) ", line)) or listed and line.startswith(" ")
        blank = not line.strip()
    return found


def pages() -> list[Path]:
    # NEWS.md and CONTRIBUTING.md are about the source; a head is part of a page that a test writes.
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def every() -> list[Block]:
    return [b for p in pages() for b in blocks(str(p.relative_to(ROOT)), p.read_text())]
