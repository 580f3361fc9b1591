#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUT.c PAGE.html PAGE.css PAGE.js: one self-contained page as a C array, and the headers that let nothing but it run.

The policy names style and script by their hashes: nothing else, from wherever, is executed or applied.
"""
import base64
import hashlib
import sys
from pathlib import Path


def quote(line: bytes) -> str:
    return '"' + "".join(chr(b) if 0x20 <= b < 0x7F and chr(b) not in '"\\?' else f"\\{b:03o}" for b in line) + '"'


def digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def main(out: str, html: str, css: str, js: str) -> None:
    page, style, script = (Path(f).read_text(encoding="utf-8") for f in (html, css, js))
    for text, end in ((style, "</style"), (script, "</script")):
        assert end not in text.lower() and "<!--" not in text, f"'{end}' would end it too early"
    assert page.count("<style></style>") == 1 and page.count("<script></script>") == 1
    page = page.replace("<style></style>", f"<style>{style}</style>").replace("<script></script>", f"<script>{script}</script>")
    policy = "; ".join((
        "default-src 'none'", f"script-src {digest(script)}", f"style-src {digest(style)}", "connect-src 'self'", "img-src data:",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"))
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
               "Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY"}
    data = page.encode()
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "nono-nri/status.h"\n\nconst char kf_plugin_html[] =\n')
        f.write("\n".join("\t" + quote(line) for line in data.splitlines(keepends=True)))
        f.write(f";\nconst size_t kf_plugin_nhtml = {len(data)};\n\nconst char kf_plugin_headers[] =\n")
        f.write("\n".join("\t" + quote(f"{k}: {v}\r\n".encode()) for k, v in headers.items()) + ";\n")


main(*sys.argv[1:])
