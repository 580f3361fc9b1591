# SPDX-License-Identifier: Apache-2.0
"""A denied agent finds out by itself.  The agent here is 20 lines that call a model and its one tool, as the real ones do; the
model (model.py) reads the denial, asks "nono why", and does its task another way.  Nobody else is asked."""
import os

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
        t.ok(len(ran) == 3 and ran[1] == "nono why --path /etc/report.txt --op write" and "KF-DONE" in p.stdout,
             f"{profile}: a denied agent asks why, and tries what it is told", p.stdout + p.stderr)
        t.ok(p.stdout.count("\nwritten\n") == 1 and "/etc/report.txt" not in (ran or [""])[-1],
             f"{profile}: and its task is done, elsewhere", p.stdout + p.stderr)
