# SPDX-License-Identifier: Apache-2.0
"""The agents' real packages, pinned, each installed once into ${XDG_CACHE_HOME:-~/.cache}/kubefence."""
import fcntl
import os
import shutil
import subprocess

# profile: (registry, package, version)
PINNED = {
    "claude-code": ("npm", "@anthropic-ai/claude-code", "2.1.197"),
    "codex": ("npm", "@openai/codex", "0.169.0"),
    "gemini": ("npm", "@google/gemini-cli", "0.61.0"),
    "opencode": ("npm", "opencode-ai", "1.18.33"),
    "aider": ("pypi", "aider-chat", "0.86.2"),
    "swival": ("pypi", "swival", "0.1.30"),
}


def directory(profile: str) -> str:
    """Where the package lies, to be mounted at /opt/agent; installed if need be."""
    registry, package, version = PINNED[profile]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    where = f"{cache}/kubefence/agent-{profile}-{version}"
    os.makedirs(os.path.dirname(where), exist_ok=True)
    with open(where + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(f"{where}/.complete"):
            return where
        shutil.rmtree(where, ignore_errors=True)
        if registry == "npm":
            os.makedirs(where)
            subprocess.run(["npm", "install", "--prefix", where, "--no-audit", "--no-fund", "--loglevel=error", f"{package}@{version}"],
                           check=True, cwd=where)
        else:
            # The image in the test is this machine: its own Python runs them.
            subprocess.run(["/usr/bin/python3", "-m", "venv", f"{where}/pip"], check=True)
            subprocess.run([f"{where}/pip/bin/pip", "install", "-q", "--target", f"{where}/site", f"{package}=={version}"], check=True)
            shutil.rmtree(f"{where}/pip")
        open(f"{where}/.complete", "w", encoding="ascii").close()
    return where
