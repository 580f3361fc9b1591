# SPDX-License-Identifier: Apache-2.0
"""One container under kubefence try, with the secrets that usually lie about."""
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KUBEFENCE = f"{ROOT}/out/bin/kubefence"

# Planted where they usually lie.
SECRETS = {
    ".ssh/id_ed25519": "home", ".aws/credentials": "home", ".config/gcloud/x": "home", ".kube/config": "home", ".netrc": "home",
    ".git-credentials": "home", "api-key": "mount", "other": "other",
}
# What the shell prints for each that it can read.
READ = """for f in ~/.ssh/id_ed25519 ~/.aws/credentials ~/.config/gcloud/x ~/.kube/config ~/.netrc ~/.git-credentials \\
  /secrets/api-key /home/other/other /run/secrets/kubernetes.io/serviceaccount/token; do
  head -c 1 "$f" >/dev/null 2>&1 && [ -s "$f" ] && echo "read $f"; done; true"""
NREADABLE = 9


class Container:
    """One home, one work directory, one set of planted secrets."""

    def __init__(self, base: str, uid: int) -> None:
        self.home, self.work, self.secrets, self.other = (f"{base}/{d}" for d in ("home", "work", "secrets", "other"))
        self.uid = uid
        for d in (self.home, self.work, self.secrets, self.other):
            os.makedirs(d)
        for name, where in SECRETS.items():
            path = f"{ {'home': self.home, 'mount': self.secrets, 'other': self.other}[where]}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii") as f:
                f.write("secret\n")
        subprocess.run(["chown", "-R", f"{uid}:{uid}", base], check=True)
        os.chmod(base, 0o755)

    def put(self, name: str, text: str) -> None:
        """A file of the work directory."""
        with open(f"{self.work}/{name}", "w", encoding="utf-8") as f:
            f.write(text)
        os.chown(f.name, self.uid, self.uid)

    def run(self, profile: str | None, script: str, volumes: dict[str, str] | None = None, env: dict[str, str] | None = None,
            argv: list[str] | None = None) -> subprocess.CompletedProcess:
        command = [KUBEFENCE, "try", "-w", "/work", "-u", f"{self.uid}:{self.uid}", "--token"]
        command += ["-p", profile] if profile else ["--plain"]
        env = {"HOME": "/home/agent", "CI": "1", "NO_COLOR": "1", "LANG": "C.UTF-8",
               "PATH": "/opt/agent/node_modules/.bin:/opt/node/bin:/usr/local/go/bin:/usr/local/cargo/bin:/usr/local/bin:/usr/bin:/bin",
               "PYTHONPATH": "/opt/agent/site", **(env or {})}
        for k, v in env.items():
            command += ["-e", f"{k}={v}"]
        for source, target in {self.home: "/home/agent", self.work: "/work", f"{self.secrets}": "/secrets:ro",
                               self.other: "/home/other", **(volumes or {})}.items():
            command += ["-v", f"{source}:{target}"]
        return subprocess.run([*command, "--", *(argv or ["sh", "-c", script])], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=600)
