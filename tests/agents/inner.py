# SPDX-License-Identifier: Apache-2.0
"""Agents with their own sandbox on, within ours: codex and Claude Code, their real packages and nono-bwrap.

What the inner sandbox refuses the outer one grants: the home directory can be written, and the network is there. The
control is the same command without the agent's sandbox.
"""
import os
import shutil

import packages
from agents import PYTHON, written
from container import Container

HERE = os.path.dirname(os.path.abspath(__file__))
TASK = f"""cd /work
echo x >made
echo x >~/made && echo home-written
echo x >.git/hooks/pre-commit && echo hook-written
{PYTHON} -c 'import socket; socket.create_connection(("127.0.0.1", int(open("/work/port").read())))' 2>/dev/null && echo connected
cat ~/.ssh/id_ed25519 2>/dev/null
echo task-ran
"""
CODEX = 'model_provider = "stub"\nmodel = "stub"\n[model_providers.stub]\nname = "stub"\nbase_url = "http://127.0.0.1:$PORT/v1"\nwire_api = "responses"'
WORKSPACE = "-c sandbox_workspace_write.exclude_slash_tmp=true -c sandbox_workspace_write.exclude_tmpdir_env_var=true"
# name: (profile, package, how it is asked, whether its commands write the workspace)
TURNS = {
    "codex, read-only": ("codex-inner", "codex", written(".codex/config.toml", CODEX)
                         + 'codex exec --sandbox read-only --skip-git-repo-check "run it"', False),
    "codex, workspace-write": ("codex-inner", "codex", written(".codex/config.toml", CODEX)
                               + f'codex exec --sandbox workspace-write {WORKSPACE} --skip-git-repo-check "run it"', True),
    "Claude Code": ("claude-code-inner", "claude-code", written(
        ".claude/settings.json", '{"sandbox": {"enabled": true, "autoAllowBashIfSandboxed": true, "allowUnsandboxedCommands": false, '
        '"network": {"allowAllUnixSockets": true}}}')
        + 'ANTHROPIC_BASE_URL=http://127.0.0.1:$PORT ANTHROPIC_API_KEY=x claude --dangerously-skip-permissions -p "run it"', True),
}


def ask(c: Container, profile: str, agent: str, turn: str) -> tuple[str, str]:
    """What the command of a turn printed, and all that was said."""
    c.put("task.sh", TASK)
    script = f"""{PYTHON} /opt/model/model.py 'sh /work/task.sh 2>&1' /work/port 2>/work/asked & model=$!
while [ ! -e /work/port ] && kill -0 $model; do sleep 0.05; done
export PORT=$(cat /work/port)
{turn}
status=$?; kill $model; echo; cat /work/asked; exit $status"""
    volumes = {packages.directory(agent): "/opt/agent:ro", packages.node(): "/opt/node:ro", HERE: "/opt/model:ro"}
    p = c.run(profile, script, volumes)
    said = ""
    for top, _, files in os.walk(c.home):
        for name in files:
            if name.endswith(".jsonl"):
                with open(f"{top}/{name}", encoding="utf-8", errors="replace") as f:
                    said += f.read()
    return said, p.stdout[-3000:] + p.stderr[-3000:]


def run(t, base: str) -> None:
    t.ok(shutil.which("socat"), "Claude Code's sandbox looks for socat", "install socat")
    for number, (name, (profile, agent, turn, writes)) in enumerate(TURNS.items()):
        c = Container(f"{base}/inner-{number}", 1000)
        said, shown = ask(c, profile, agent, turn)
        t.ok("task-ran" in said and "KF-DONE" in shown, f"{name}: a turn with its own sandbox on, to its end", said[-3000:] + shown)
        t.equal(os.path.exists(f"{c.work}/made"), writes, f"{name}: its commands {'write' if writes else 'do not write'} the workspace")
        t.ok("home-written" not in said and not os.path.exists(f"{c.home}/made"), f"{name}: they do not write the home directory, which ours grants")
        t.ok("hook-written" not in said and "connected" not in said and "secret" not in said,
             f"{name}: no hook, no connection, no secret", said[-3000:])
    # The same command, in our sandbox alone.
    c = Container(f"{base}/inner-control", 1000)
    c.put("task.sh", TASK)
    p = c.run("codex-inner", "echo 9 >/work/port; sh /work/task.sh")
    t.ok("home-written" in p.stdout and "secret" not in p.stdout, "control: without the inner sandbox the home directory can be written", p)
