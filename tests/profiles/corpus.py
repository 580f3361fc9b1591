# SPDX-License-Identifier: Apache-2.0
"""The corpus: each file says in its comments what must come of it."""
import glob
import json
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get("KUBEFENCE_BIN") or f"{ROOT}/out/bin"
KUBEFENCE = f"{BIN}/kubefence"
DIRECTIVE = re.compile(r"^\s*// (line|no|error|warning): (.*)$", re.MULTILINE)


# Messages that no file of its own can cause, and where they are tested instead.
ELSEWHERE = {
    "cannot be expressed: %s": "nowhere: the compiler checks what it wrote, and everything before it must have seen to that",
    "not a profile name: letters, digits, '_' and '-', at most %d": "tests/unit/test_profile.c",
    "builds on more than %d profiles": "tests/unit/test_profile.c",
    "larger than %d bytes; profiles are small": "tests/unit/test_profile.c",
    "there is no such profile%s": "cli.py",
}


def validate(path: str) -> list[dict]:
    p = subprocess.run([KUBEFENCE, "profile", "validate", "-o", "json", path], capture_output=True, text=True)
    return json.loads(p.stdout)[0]["problems"]


def one(tap, path: str, seen: list[dict]) -> None:
    with open(path, encoding="utf-8", errors="replace") as f:
        wanted = DIRECTIVE.findall(f.read())
    problems = validate(path)
    seen += problems
    said = {(p["severity"], f"{p['line']}:{p['column']} {p['message']}") for p in problems}
    missing = [f"{k}: {t}" for k, t in wanted if k in ("error", "warning") and not any(s == k and m.startswith(t) for s, m in said)]
    unwanted = [f"{s}: {m}" for s, m in said if not any(s == k and m.startswith(t) for k, t in wanted)]
    compiled = subprocess.run([KUBEFENCE, "profile", "compile", path], capture_output=True, text=True)
    lines = compiled.stdout.splitlines()
    missing += [f"line: {t}" for k, t in wanted if k == "line" and t not in lines]
    unwanted += [t for k, t in wanted if k == "no" and any(t in l for l in lines)]
    failed = any(k == "error" for k, _ in wanted)
    detail = "".join(f"missing {m}\n" for m in missing) + "".join(f"not expected {u}\n" for u in unwanted)
    tap.ok(wanted and not missing and not unwanted and failed == (compiled.returncode == 1), os.path.basename(path), detail or compiled.stderr)


def messages() -> list[str]:
    """Format strings of the compiler's messages, from its sources."""
    found = []
    for path in glob.glob(f"{ROOT}/src/profile/*.c") + [f"{ROOT}/src/json/jsonc.c"]:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        # A format is the first string, in however many pieces, behind "at," of these calls.
        for call in re.finditer(r"(?:kf_diag_(?:error|warning)|\bbad)\(((?:[^;\"]|\"(?:[^\"\\]|\\.)*\")*)\);", text):
            pieces = re.search(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*', call[1])
            if pieces:
                found.append("".join(json.loads(p) for p in re.findall(r'"(?:[^"\\]|\\.)*"', pieces[0])))
    return found


def pattern(fmt: str) -> str:
    """Regular expression for what a printf format can print."""
    return "".join(".*" if part.startswith("%") else re.escape(part) for part in re.split(r"(%[-.*0-9]*(?:zu|[sudc]))", fmt))


def strip(text: str) -> str:
    """JSONC without comments and trailing commas."""
    text = re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', lambda m: m[1] or "", text, flags=re.DOTALL)
    return re.sub(r",(\s*[}\]])", r"\1", text)


def keys(value, prefix: str = "") -> set:
    if not isinstance(value, dict) or prefix.count(".") > 1 or prefix.startswith("platform_overrides."):
        return set()
    return {prefix + k for k in value} | {n for k, v in value.items() for n in keys(v, prefix + k + ".")}


def schema_keys() -> set:
    schema = json.loads(subprocess.run([KUBEFENCE, "profile", "schema"], capture_output=True, text=True).stdout)
    found = set()
    for name, sub in schema["properties"].items():
        # What stands in an override is a profile again.
        found |= {name} | {f"{name}.{k}" for k in sub.get("properties", {}) if name != "platform_overrides"}
    return found


def run(tap) -> None:
    seen: list[dict] = []
    used: set = set()
    for path in sorted(glob.glob(f"{HERE}/corpus/*.json*")):
        one(tap, path, seen)
        try:
            with open(path, encoding="utf-8") as f:
                used |= keys(json.loads(strip(f.read())))
        except ValueError:
            pass  # the file is about what is not JSON
    unused = schema_keys() - used
    tap.ok(not unused, "every key of the language is in the corpus", sorted(unused))
    said = [p["message"] for p in seen]
    silent = [m for m in messages() if m not in ELSEWHERE and not any(re.fullmatch(pattern(m), s, re.DOTALL) or re.fullmatch("path '.*': " + pattern(m), s, re.DOTALL) for s in said)]
    tap.ok(len(messages()) > 50 and not silent, "every message of the compiler is in the corpus", "\n".join(silent))
