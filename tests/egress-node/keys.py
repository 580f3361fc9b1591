# SPDX-License-Identifier: Apache-2.0
"""keys.py all [AGENT...]: a turn of the real agents with the stand-in model of tests/agents, which is behind TLS and wants a
key that only the broker has.  While the agent's own tool runs a command, the key is looked for in each process's memory,
environment and command line, and in every file that the container wrote or was given; the control is the same turn with
the key where it is without a broker, in the environment, and there it is found."""
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "guard"), str(HERE.parent / "agents")]
from field import BIN, INTERNET, Field, Parent, inside, own_place, sh  # noqa: E402
from guard import Place  # noqa: E402
from seek import look, spellings  # noqa: E402
from lib.tap import Tap  # noqa: E402
from lib.wait import Timeout, wait_until  # noqa: E402
from agents import AGENTS, PYTHON  # noqa: E402
import packages  # noqa: E402

KEY = "sk-ant-api03-the-key-that-only-the-broker-has-4711"
TLS_PORT, PLAIN_PORT = 8443, 8080
UID = 1000
# What the agent's tool runs: it says that it does, and is done when the test has looked around.
TASK = "touch /work/at-work\nn=0\nwhile [ ! -e /work/go ] && [ $n -lt 900 ]; do sleep 0.1; n=$((n+1)); done\necho done >/work/done\n"


class Wants(NamedTuple):
    header: str  # of the key
    form: str    # of its value, "" for the key as it is
    turn: tuple[str, str] = ("", "")  # a text of the turn, and what takes its place so that the agent sends a key


OPENAI = ("authorization", "bearer")
KEYS = {
    "claude-code": Wants("x-api-key", "", ("ANTHROPIC_API_KEY=x", "ANTHROPIC_API_KEY=$API_KEY")),
    "codex": Wants(*OPENAI, ('wire_api = "responses"', 'wire_api = "responses"\nenv_key = "API_KEY"')),
    "gemini": Wants("x-goog-api-key", "", ("GEMINI_API_KEY=x", "GEMINI_API_KEY=$API_KEY")),
    "opencode": Wants(*OPENAI, ('"apiKey": "x"', '"apiKey": "$API_KEY"')),
    "openclaw": Wants(*OPENAI, ('"apiKey": "x"', '"apiKey": "$API_KEY"')),
    "aider": Wants(*OPENAI, ("--openai-api-key x", "--openai-api-key $API_KEY")),
    "swival": Wants(*OPENAI, ('api_key = "x"', 'api_key = "$API_KEY"')),
}


class Model:
    """The stand-in on the internet of the test: by TLS at one port, without at another.  @heads: what was asked."""

    def __init__(self, f: Field) -> None:
        self.world, self.heads = f"/run/netns/{f.world}", []
        ready = f.dir / "model-port"
        self.process = subprocess.Popen(["nsenter", f"--net={self.world}", PYTHON, HERE.parent / "agents/model.py", "sh /work/task.sh", ready],
                                        stderr=subprocess.DEVNULL)
        wait_until(ready.exists, "the model")
        self.port = int(ready.read_text())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f.dir / "server.pem")
        self.listeners = []
        for port, tls in ((TLS_PORT, context), (PLAIN_PORT, None)):
            with inside(self.world):
                self.listeners.append(socket.create_server((INTERNET, port), backlog=64))
            threading.Thread(target=self.serve, args=(self.listeners[-1], tls), daemon=True).start()

    def close(self) -> None:
        for x in self.listeners:
            x.close()
        self.process.kill()
        self.process.wait()

    def serve(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        while True:
            try:
                c, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connection, args=(c, tls), daemon=True).start()

    def connection(self, c: socket.socket, tls: ssl.SSLContext | None) -> None:
        try:
            c = tls.wrap_socket(c, server_side=True) if tls else c
            with inside(self.world):
                o = socket.create_connection(("127.0.0.1", self.port))
        except OSError:
            return
        threading.Thread(target=self.pump, args=(o, c, None), daemon=True).start()
        self.pump(c, o, self.heads)

    @staticmethod
    def pump(a: socket.socket, b: socket.socket, keep: list | None) -> None:
        try:
            while part := a.recv(65536):
                if keep is not None:
                    keep.append(part)
                b.sendall(part)
            b.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            pass


def profile(place: Place, f: Field, agent: str, broker: bool) -> str:
    """The agent's own profile, and in it the model: through the broker with a key, or without one."""
    name = f"{agent}-{'broker' if broker else 'direct'}"
    text: dict = {"extends": agent, "network": {"connect_port": [PLAIN_PORT]}}
    if broker:
        want = KEYS[agent]
        text = {"extends": agent, "credentials": [{"route": "/model", "upstream": f"https://api.test:{TLS_PORT}", "secret": "agent-keys", "key": "key",
                                                   "header": want.header, **({"form": want.form} if want.form else {}),
                                                   "env": "BASE_URL", "placeholder": "API_KEY"}]}
    file = f.dir / f"{name}.json"
    file.write_text(json.dumps(text))
    compiled = sh(BIN / "kubefence", "profile", "compile", file)
    (place.node.dir / "launcher/profiles" / name).write_text(compiled)
    return name


def turn(t: Tap, f: Field, place: Place, model: Model, agent: str, broker: bool) -> None:
    pod = f.pod(f"{agent[:6]}{'b' if broker else 'd'}")
    base = f.dir / f"{agent}-{broker}"
    home, work, stage = base / "home", base / "work", base / "stage"
    for d in (home, work, stage):
        d.mkdir(parents=True)
    (work / "task.sh").write_text(TASK)
    for d in (home, work, work / "task.sh"):
        os.chown(d, UID, UID)
    sh("mount", "-t", "tmpfs", "stage", stage)
    for d in ("upper", "work", "root"):
        (stage / d).mkdir()
    sh("mount", "-t", "overlay", "-o", f"lowerdir=/,upperdir={stage}/upper,workdir={stage}/work", "root", stage / "root")
    want = KEYS[agent]
    script = AGENTS[agent].turn.replace("http://127.0.0.1:$PORT", "$BASE_URL").replace(*want.turn)
    env = {"HOME": "/home/agent", "CI": "1", "NO_COLOR": "1", "LANG": "C.UTF-8", "PYTHONPATH": "/opt/agent/site",
           "PATH": "/opt/agent/node_modules/.bin:/opt/node/bin:/usr/local/bin:/usr/bin:/bin", **AGENTS[agent].env}
    if not broker:
        env.update(BASE_URL=f"http://{INTERNET}:{PLAIN_PORT}", API_KEY=KEY)
    place.egress(broker)
    b = place.bundle(pod, ["sh", "-c", script], profile=profile(place, f, agent, broker), keys=broker, env=[f"{k}={v}" for k, v in env.items()],
                     user={"uid": UID, "gid": UID}, caps=[])
    (place.node.dir / f"kubelet/pods/{pod.uid}/volumes/kubernetes.io~secret/agent-keys/key").write_text(KEY)
    (place.node.dir / f"kubelet/pods/{pod.uid}/volume-subpaths/agent-keys/main/0").write_text(KEY)
    b.config["root"] = {"path": str(stage / "root"), "readonly": False}
    volumes = {packages.directory(agent): "/opt/agent", packages.node(): "/opt/node"}
    b.config["mounts"] += [{"destination": to, "type": "bind", "source": str(source), "options": ["rbind", mode]}
                           for source, to, mode in (*((s, d, "ro") for s, d in volumes.items()), (home, "/home/agent", "rw"), (work, "/work", "rw"))]
    b.write()
    cid, results = place.node.id(), []
    runner = threading.Thread(target=lambda: results.append(place.node.call("run", "--bundle", b.dir, cid, timeout=1500)))
    before = len(model.heads)
    runner.start()
    try:
        try:
            wait_until(lambda: (work / "at-work").exists() or results, f"{agent}'s tool to run", 900)
        except Timeout:  # what it said meanwhile is told
            place.node.call("kill", cid, "KILL")
            runner.join(60)
        if results:
            t.ok(False, f"{agent}: its turn", f"{results[0].out[-2500:]}{results[0].err[-2500:]}")
            return
        init = json.loads(place.node.call("state", cid).out)["pid"]
        found, n = look(init, [stage / "upper", home, work], spellings(KEY))
        (work / "go").touch()
        runner.join(300)
        r = results[0]
        asked = b"".join(model.heads[before:])
        if broker:
            t.ok(n >= 2 and not found, f"{agent}: the key is nowhere in the pod: no process's memory or environment, no file", f"{n} processes, {found}")
            t.ok(KEY.encode() in asked, f"{agent}: the model was asked with the key", asked[:400])
            t.ok("KF-DONE" in r.out + r.err and (work / "done").exists(), f"{agent}: its turn goes to its end", f"{r.out[-2500:]}{r.err[-2500:]}")
            t.ok("agent-keys" not in json.dumps(b.read()["mounts"]), f"{agent}: the Secret's mounts are taken away")
        else:
            t.ok(KEY.encode() in asked and any("environ" in x for x in found) and any("memory" in x for x in found),
                 f"{agent}: control: without the broker the key is found in the pod, in environments and in memory", f"{n} processes, {found}")
            print(f"# {agent}: {n} processes, the key at {len(found)} places", flush=True)
    finally:
        (work / "go").touch()
        place.node.delete(cid)
        runner.join(60)
        for m in (stage / "root", stage):
            subprocess.run(["umount", "-l", m], check=False)


def main() -> int:
    t = Tap()
    own_place()
    with Field() as f:
        subprocess.run(["gcc", "-static", "-O1", "-o", f"{f.dir}/ways", f"{HERE}/ways.c"], check=True)
        with Parent(f) as parent:
            place, model = Place(f, shutil.which("runc") or "/usr/sbin/runc"), Model(f)
            try:
                for agent in sys.argv[2:] or KEYS:
                    for broker in (True, False):
                        t.case(f"{agent}, {'broker' if broker else 'control'}", turn, t, f, place, model, agent, broker)
            finally:
                model.close()
                place.node.close()
            if t.failed:
                print("\n".join(f"# {line}" for line in parent.log.read_text().splitlines()[-20:]))
    return t.done()


if __name__ == "__main__":
    sys.exit(main())
