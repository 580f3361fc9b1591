# SPDX-License-Identifier: Apache-2.0
"""A denied agent finds out by itself.  The agent here is 20 lines that call a model and its one tool, as the real ones do; the
model (model.py) reads the denial, asks "nono why", and does its task another way.  Nobody else is asked.  real() has the real
agents do the same."""
import os

import packages
from agents import AGENTS, PYTHON
from container import Container

HERE = os.path.dirname(os.path.abspath(__file__))
AGENT = r"""
import json, subprocess, sys, urllib.request
tools = [{"type": "function", "function": {"name": "shell", "parameters": {
    "type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}}}]
messages = [{"role": "user", "content": "write the report"}]
while True:
    body = json.dumps({"model": "stub", "messages": messages, "tools": tools}).encode()
    request = urllib.request.Request(sys.argv[1] + "/chat/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        message = json.load(answer)["choices"][0]["message"]
    messages.append(message)
    if not message.get("tool_calls"):
        print(message["content"])
        break
    call = message["tool_calls"][0]
    command = json.loads(call["function"]["arguments"])["command"]
    p = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    print("ran:", command, flush=True)
    print(p.stdout + p.stderr, end="", flush=True)
    messages.append({"role": "tool", "tool_call_id": call["id"], "content": p.stdout + p.stderr})
"""


# Model and agent in one container, whose network is its own.
SCRIPT = """python3 /work/model.py 'echo report >/etc/report.txt && echo written' /tmp/ready 2>/dev/null & model=$!
until [ -e /tmp/ready ]; do sleep 0.1; done
python3 /work/agent.py "http://127.0.0.1:$(cat /tmp/ready)"; kill $model"""


def told(t, base: str) -> None:
    for profile in ("workspace", "claude-code", "strict"):
        c = Container(f"{base}/told-{profile}", 0)
        c.put("agent.py", AGENT)
        with open(f"{HERE}/model.py", encoding="utf-8") as f:
            c.put("model.py", f.read())
        said = c.run(profile, "cat /nono/README; ls -l /nono/README")
        lines = said.stdout.splitlines()
        t.ok(len(lines) == 11 and f"Profile: {profile}." in lines[1] and "May be written:" in lines[2] and "/nono/nono why --path" in lines[5],
             f"{profile}: /nono/README says in ten lines which profile this is, what may be written and how to ask", said.stdout + said.stderr)
        p = c.run(profile, "echo x >>/nono/README; echo x >/nono/other")
        t.equal(p.stderr.count("nono/"), 2, f"{profile}: nobody inside can change what it says")
        if profile == "strict":
            continue
        plain = c.run(None, SCRIPT)
        t.equal((plain.stdout.count("ran: "), plain.stdout.count("\nwritten\n")), (1, 1), f"{profile}: control: without a sandbox the first try is enough")
        p = c.run(profile, SCRIPT)
        ran = [line.removeprefix("ran: ") for line in p.stdout.splitlines() if line.startswith("ran: ")]
        t.ok(len(ran) == 3 and ran[1] == "/nono/nono why --path /etc/report.txt --op write" and "KF-DONE" in p.stdout,
             f"{profile}: a denied agent asks why, and tries what it is told", p.stdout + p.stderr)
        t.ok(p.stdout.count("\nwritten\n") == 1 and "/etc/report.txt" not in (ran or [""])[-1],
             f"{profile}: and its task is done, elsewhere", p.stdout + p.stderr)


# Where the agents' user may write, and no profile lets them.
ELSEWHERE = "/home/other/report.txt"


def real(t, base: str) -> None:
    """The real agents, each with its own tool, its own shell and its own way to show what a command said."""
    for profile in ("claude-code", "codex"):
        a = AGENTS[profile]
        task = f"echo report >{ELSEWHERE} && echo written"
        script = f"""{PYTHON} /opt/model/model.py '{task}' /work/port 2>/work/asked & model=$!
while [ ! -e /work/port ] && kill -0 $model; do sleep 0.05; done
export PORT=$(cat /work/port)
{a.turn}
status=$?; kill $model; exit $status"""
        volumes = {packages.directory(profile): "/opt/agent:ro", packages.node(): "/opt/node:ro", HERE: "/opt/model:ro"}
        for under in (profile, None):
            c = Container(f"{base}/really-told-{under or f'plain-{profile}'}", 1000)
            p = c.run(under, script, volumes, a.env)
            said = f"{p.stdout[-3000:]}{p.stderr[-3000:]}"
            with open(f"{c.work}/asked", encoding="utf-8") as f:
                log = f.read()
            ran = [line.removeprefix("command: ") for line in log.splitlines() if line.startswith("command: ")]
            found = [path for path in (f"{c.work}/report.txt", f"{c.home}/report.txt", f"{c.other}/report.txt") if os.path.exists(path)]
            if not under:
                t.ok(ran == [task] and found == [f"{c.other}/report.txt"], f"{profile}: control: without a sandbox the first try is enough", f"{ran} {found}\n{said}")
                continue
            t.ok(p.returncode == 0 and "KF-DONE" in said and len(ran) == 3 and ran[1] == f"/nono/nono why --path {ELSEWHERE} --op write",
                 f"{profile}: the real agent is denied, asks why in its own shell, and tries what it is told", f"{ran}\n{log}\n{said}")
            written = ran[-1].split(">")[-1].split()[0] if ran else ""
            t.ok(not os.path.exists(f"{c.other}/report.txt") and written not in ("", ELSEWHERE), f"{profile}: nothing is written where it may not", ran)
            t.ok(found or written.startswith("/tmp/"), f"{profile}: its task is done elsewhere, without anybody's help: {written}", f"{found} {log}")
