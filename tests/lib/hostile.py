# SPDX-License-Identifier: Apache-2.0
"""Strings that want to be more than text, and what of them may come out of a program."""
import unicodedata

# Valid in JSON; what others write into annotations, names, messages.
STRINGS = {
    "clear screen": "\x1b[2J\x1b[H",
    "title": "\x1b]0;owned\x07",
    "a row": "x\nns  forged  nono-runc  default  Running  n1",
    "carriage return": "bad\rgood",
    "tab": "a\tb",
    "C1": "\x9b2J",
    "DEL": "\x7f\x7f",
    "direction": "\u202eelif\u2066\u2069",
    "no width": "de\u200bfault\ufeff",
    "line separator": "a\u2028b\x85c",
    "tags": "a\U000e0041\U000e0042",
    "long": "A" * 100_000,
    "long and raw": "\x1b" * 100_000,
}
# Not valid anywhere.
BYTES = {"no UTF-8": b"\xff\xfe\xc0\xaf", "a C1 byte": b"\x9b2J", "half a character": b"\xe2\x82"}


def raw(output: bytes) -> str:
    """The first thing in @output that a terminal would obey or hide, or "" if there is none."""
    try:
        text = output.decode()
    except UnicodeDecodeError as e:
        return f"no UTF-8 at {e.start}: {output[max(0, e.start - 40):e.start + 40]!r}"
    for i, c in enumerate(text):
        if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp"):
            return f"U+{ord(c):04X} at {i}: {text[max(0, i - 40):i + 40]!r}"
    return ""
