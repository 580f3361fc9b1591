#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""build.py [--pages-only]: out/site/html from docs/, the files beside it, and what is generated from the programs.

Pages of docs/ are written for people who read the repository; here their links are turned into the site's, and files
that are no page are copied beside them. MkDocs Material comes from PyPI, once, into the cache.
"""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import messages

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out/site"
PAGES = OUT / "pages"
MKDOCS = "mkdocs-material==9.8.2"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kubefence" / MKDOCS.replace("==", "-")
# Files of the repository that are pages of the site, by another name.
MOVED = {"README.md": "index.md", "SECURITY.md": "security.md", "NEWS.md": "news.md", "CONTRIBUTING.md": "contributing.md",
         "HACKING.md": "hacking.md", "charts/kubefence/README.md": "reference/values.md"}
LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s#]*)(#[^)\s]*)?\)")


def places() -> dict[Path, Path]:
    """{file of the repository: page of the site}"""
    found = {Path("docs") / p.relative_to(ROOT / "docs"): p.relative_to(ROOT / "docs")
             for p in sorted((ROOT / "docs").rglob("*")) if p.is_file()}
    return {**found, **{Path(a): Path(b) for a, b in MOVED.items()}}


def turn_links(source: Path, page: Path, text: str, pages: dict[Path, Path]) -> str:
    def turn(m: re.Match) -> str:
        label, target, anchor = m[1], m[2], m[3] or ""
        if not target or re.match(r"[a-z]+:", target):
            return m[0]
        path = Path(os.path.normpath(source.parent / target))
        if (ROOT / path).is_dir():
            path = path / "README.md"
        if not (ROOT / path).is_file():
            return label.lstrip("![").rstrip("]")  # a folder of the sources: its name is enough
        if path not in pages:
            pages[path] = Path("files") / path
            (PAGES / pages[path]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, PAGES / pages[path])
        return f"{label}({os.path.relpath(pages[path], page.parent)}{anchor})"

    return LINK.sub(turn, text)


def copy_pages() -> None:
    pages = places()
    for source, page in list(pages.items()):
        target = PAGES / page
        target.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix != ".md":
            shutil.copy(ROOT / source, target)
            continue
        target.write_text(turn_links(source, page, (ROOT / source).read_text(), pages))


def manual_pages() -> None:
    for source in sorted((ROOT / "out/build/man").glob("*.[1-8]")):
        text = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=100", source], capture_output=True, text=True,
                              check=True).stdout
        text = re.sub(".\b", "", text).rstrip()
        (PAGES / f"reference/{source.name}.md").write_text(f"# {source.name[:-2]}({source.name[-1]})\n\n```text\n{text}\n```\n")


def profile_keys() -> None:
    """A row for each key, from the JSON schema that the program prints."""
    schema = json.loads(subprocess.run([ROOT / "out/bin/kubefence", "profile", "schema"], capture_output=True, text=True,
                                       check=True).stdout)
    rows = ["# Keys of profiles", "", "As `kubefence profile schema` has them; [profiles](../profiles.md) explains them.", "",
            "| key | type | |", "|---|---|---|"]

    def add(properties: dict, prefix: str) -> None:
        for name, value in properties.items():
            kind = value.get("type", "one of" if "enum" in value or "anyOf" in value else "")
            text = value.get("description", "").replace("|", "\\|").replace("\n", " ")
            rows.append(f"| `{prefix}{name}` | {kind if isinstance(kind, str) else ' or '.join(kind)} | {text} |")
            if "properties" in value:
                add(value["properties"], f"{prefix}{name}.")

    add(schema["properties"], "")
    (PAGES / "reference/profile-keys.md").write_text("\n".join(rows) + "\n")


def all_messages() -> None:
    (PAGES / "messages.md").write_text(messages.page())


def mkdocs() -> str:
    program = CACHE / "bin/mkdocs"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", CACHE], check=True)
        subprocess.run([CACHE / "bin/pip", "install", "-q", MKDOCS], check=True)
    return str(program)


def main() -> int:
    shutil.rmtree(OUT, ignore_errors=True)
    (PAGES / "reference").mkdir(parents=True)
    for name in ("access.css", "access.js"):
        shutil.copy(ROOT / "site" / name, PAGES / name)
    copy_pages()
    manual_pages()
    profile_keys()
    all_messages()
    if sys.argv[1:] == ["--pages-only"]:
        return 0
    program = mkdocs()
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    p = subprocess.run([program, "build", "--strict", "--quiet", "-f", ROOT / "site/mkdocs.yml"], env=env, check=False)
    if p.returncode == 0:
        print(f"the site is in {OUT / 'html'}")
    return p.returncode


if __name__ == "__main__":
    sys.exit(main())
