# SPDX-License-Identifier: Apache-2.0
"""The agents: started, configured, and made to use their shell by a model that is not one (model.py)."""
import os
from typing import NamedTuple

import packages
from container import NREADABLE, READ, Container

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
# The layout of those that no registry has.
LAYOUTS = {"goose": (".config/goose", ".local/share/goose", ".local/state/goose", ".cache/goose")}
GIT = """git init -q project && cd project && git config user.email a@b && git config user.name a && echo one > file &&
git add . && git commit -qm one && git log --oneline | grep -c one"""
# What the agent's own tool is told to run: work on a repository, then a look at what it can read.
TASK = f"cd /work\n({GIT}) >done\n({READ}) >>done\necho uid $(id -u) >>done\n"


class Agent(NamedTuple):
    start: str
    configure: str  # writes its configuration and reads it back
    expected: str  # what that prints
    turn: str  # asks the model at http://127.0.0.1:$PORT, all permissions given
    recipe: str
    env: dict[str, str] = {}


def written(name: str, text: str) -> str:
    """A shell command that makes ~/NAME, with variables filled in."""
    return f"mkdir -p ~/{os.path.dirname(name)} && cat >~/{name} <<E && \n{text}\nE\n"


AGENTS = {
    "claude-code": Agent(
        "claude", "claude mcp add kept -- /bin/true && claude mcp get kept; test -f ~/.claude.json", "Command: /bin/true",
        'ANTHROPIC_BASE_URL=http://127.0.0.1:$PORT ANTHROPIC_API_KEY=x claude --dangerously-skip-permissions -p "run it"', "own sandbox off (its default)"),
    "codex": Agent(
        "codex", "codex mcp add kept -- /bin/true && codex mcp list; test -f ~/.codex/config.toml", "/bin/true",
        written(".codex/config.toml", 'model_provider = "stub"\nmodel = "stub"\n[model_providers.stub]\nname = "stub"\nbase_url = "http://127.0.0.1:$PORT/v1"\nwire_api = "responses"')
        + 'codex exec --sandbox danger-full-access --skip-git-repo-check "run it"', "`--sandbox danger-full-access`"),
    "gemini": Agent(
        "gemini", "gemini mcp add -s user kept /bin/true && grep -A3 kept ~/.gemini/settings.json", "/bin/true",
        written(".gemini/settings.json", '{"security": {"auth": {"selectedType": "gemini-api-key"}}}')
        + 'GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:$PORT GEMINI_API_KEY=x gemini --yolo --skip-trust -m gemini-2.5-flash -p "run it"', "no `--sandbox`"),
    "opencode": Agent(
        "opencode", "mkdir -p ~/.config/opencode && echo '{\"username\": \"kept\"}' > ~/.config/opencode/opencode.json && "
        "opencode debug config && ls ~/.local/share/opencode", "kept",
        written(".config/opencode/opencode.json", '{"provider": {"stub": {"npm": "@ai-sdk/openai-compatible", "name": "stub", '
                '"options": {"baseURL": "http://127.0.0.1:$PORT/v1", "apiKey": "x"}, "models": {"stub": {"name": "stub"}}}}}')
        + 'opencode run -m stub/stub "run it"', "none needed"),
    "openclaw": Agent(
        "openclaw", "openclaw config set gateway.port 12345 && openclaw config get gateway.port && grep 12345 ~/.openclaw/openclaw.json", "12345",
        written(".openclaw/openclaw.json", '{"models": {"providers": {"stub": {"baseUrl": "http://127.0.0.1:$PORT/v1", "apiKey": "x", "api": "openai-completions", '
                '"models": [{"id": "stub", "name": "stub", "contextWindow": 128000, "maxTokens": 4096, "input": ["text"], "reasoning": false, '
                '"cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}}]}}}, '
                '"agents": {"defaults": {"workspace": "/work/openclaw", "model": {"primary": "stub/stub"}}}}')
        + 'openclaw agent --local --session-id s1 --message "run it"', "sandbox mode `off` (its default)"),
    "aider": Agent(
        f"{PYTHON} -m aider", f"echo 'chat-language: Kept' > ~/.aider.conf.yml && {PYTHON} -m aider --exit --yes-always --no-git "
        "--no-check-update --analytics-disable --no-show-model-warnings --verbose --model gpt-4o </dev/null; ls ~/.aider*", "Kept",
        # It has no tools: the model edits, aider commits and runs the tests.
        "git init -q code && cd code && git config user.email a@b && git config user.name n && "
        f"{PYTHON} -m aider --yes-always --no-check-update --analytics-disable --no-show-model-warnings --openai-api-base http://127.0.0.1:$PORT/v1 "
        '--openai-api-key x --model openai/stub --edit-format diff --auto-test --test-cmd "sh /work/task.sh" --no-gitignore --message "run it" && '
        'git show HEAD:made.txt | grep "made by the agent"', "none needed"),
    "swival": Agent(
        f"{PYTHON} /opt/agent/site/bin/swival", f"{PYTHON} /opt/agent/site/bin/swival --init-config && cat ~/.config/swival/config.toml", "# Swival configuration file",
        written(".config/swival/config.toml", 'provider = "generic"\nmodel = "stub"\napi_key = "x"\nbase_url = "http://127.0.0.1:$PORT/v1"')
        + f'{PYTHON} /opt/agent/site/bin/swival --yolo "run it"', "`TIKTOKEN_CACHE_DIR`, or egress for its tokenizer",
        {"TIKTOKEN_CACHE_DIR": "/opt/agent/site/litellm/litellm_core_utils/tokenizers", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}),
}


def turn(t, base: str, profile: str, volumes: dict[str, str]) -> bool:
    """Asked by a model, the agent runs a command: in the sandbox, and in the control without one."""
    a = AGENTS[profile]
    script = f"""{PYTHON} /opt/model/model.py 'sh /work/task.sh' /work/port 2>/work/asked & model=$!
while [ ! -e /work/port ] && kill -0 $model; do sleep 0.05; done
export PORT=$(cat /work/port)
{a.turn}
status=$?; kill $model; exit $status"""
    results = []
    for under in (profile, None):
        c = Container(f"{base}/{profile}-turn-{under or 'plain'}", 1000)
        c.put("task.sh", TASK)
        p = c.run(under, script, {**volumes, HERE: "/opt/model:ro"}, a.env)
        done = "nothing"
        if os.path.exists(f"{c.work}/done"):
            with open(f"{c.work}/done", encoding="utf-8") as f:
                done = f.read()
        said = p.stdout[-3000:] + p.stderr[-3000:]
        if under:
            results.append(t.ok(p.returncode == 0 and "KF-DONE" in p.stdout + p.stderr, f"{profile}: a turn with a model, to its end", said))
            results.append(t.ok(done == "1\nuid 1000\n", f"{profile}: the agent's own tool worked on a repository and read no secret", f"{done}\n{said}"))
        else:
            results.append(t.ok(done.startswith("1\n") and done.count("read ") == NREADABLE and done.endswith("uid 1000\n"),
                                f"{profile}: control: without a sandbox the same turn reads every secret", f"{done}\n{said}"))
    return all(results)


def word(r: bool) -> str:
    return "yes" if r else "NO"


def common(t, c: Container, profile: str, volumes: dict[str, str]) -> tuple[bool, bool]:
    p = c.run(profile, f"cd /work && ({GIT}) && rm -r project", volumes)
    git = t.ok(p.returncode == 0 and p.stdout.strip() == "1", f"{profile}: git works in the work directory", p.stdout + p.stderr)
    p = c.run(profile, READ + "; echo end", volumes)
    return git, t.equal(p.stdout, "end\n", f"{profile}: secrets beside it are not read")


def agent(t, base: str, profile: str) -> list[str]:
    """Everything about one agent; its row of the table."""
    a = AGENTS[profile]
    registry, package, version = packages.PINNED[profile]
    c = Container(f"{base}/{profile}", 1000)
    volumes = {packages.directory(profile): "/opt/agent:ro"}
    if registry == "npm":
        volumes[packages.node()] = "/opt/node:ro"
    p = c.run(profile, f"{a.start} --version", volumes, a.env)
    results = [t.ok(p.returncode == 0 and version in p.stdout + p.stderr, f"{profile}: --version says {version}", p.stdout + p.stderr)]
    p = c.run(profile, f"{a.start} --help", volumes, a.env)
    results.append(t.ok(p.returncode == 0 and len(p.stdout + p.stderr) > 200, f"{profile}: --help", p.stdout[-500:] + p.stderr))
    p = c.run(profile, a.configure, volumes, a.env)
    results.append(t.ok(p.returncode == 0 and a.expected in p.stdout + p.stderr, f"{profile}: configuration is written and read back",
                        p.stdout[-2000:] + p.stderr[-2000:]))
    results.append(turn(t, base, profile, volumes))
    results += common(t, c, profile, volumes)
    return [profile, f"{registry} `{package}` {version}", *map(word, results), a.recipe]


def layout(t, base: str, profile: str) -> list[str]:
    """As much of one that cannot be had as its documentation says."""
    c = Container(f"{base}/{profile}", 1000)
    script = " && ".join(f"mkdir -p ~/{d} && echo kept >~/{d}/f && mv ~/{d}/f ~/{d}/g && grep -q kept ~/{d}/g" for d in LAYOUTS[profile])
    p = c.run(profile, f"{script} && echo $GOOSE_DISABLE_KEYRING")
    kept = t.equal(p.stdout, "1\n", f"{profile}: its documented directories are its own, its key ring is off")
    results = common(t, c, profile, {})
    return [profile, "in no registry", "-", "-", "its layout, by a shell" if kept else "NO", "-", *map(word, results), "none needed; no key ring"]
