#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""model.py COMMAND READY: a model on the loopback, in the APIs that agents speak (OpenAI's chat and responses, Anthropic's,
Gemini's).  Asked with tools, it has the agent run COMMAND in the agent's shell tool, and after the tool's result it says DONE.
It knows one thing more: told "Permission denied" about a path, it asks "nono why", and tries what that says to use instead.
Writes its port to the file READY; prints what it was asked on standard error."""
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SHELLS = ("bash", "Bash", "shell", "shell_command", "exec_command", "run_shell_command", "run_command", "exec")
DONE = "The tool has run: KF-DONE."
# Read by agents that edit files by text instead of tools.
EDIT = "made.txt\n```\n<<<<<<< SEARCH\n=======\nmade by the agent\n>>>>>>> REPLACE\n```\n" + DONE
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def next_command(results: list[str]) -> str | None:
    """What to run after tools have answered @results; None: the task is done, or there is no other way."""
    command, denied, there = sys.argv[1], "", ""
    for result in results:
        # As bash says it, and as zsh does.
        refused = re.search(r"(/[\w./-]+): Permission denied|permission denied: (/[\w./-]+)", result)
        instead = re.search(r"^instead: use ([^,\n]+)", result, re.MULTILINE)
        if " why --path " in command:
            if not instead:
                return None
            there = f"{instead[1].strip().rstrip('/')}/{os.path.basename(denied)}"
            command = sys.argv[1].replace(denied, there)
        elif refused and not there:
            denied = refused[1] or refused[2]
            command = f"/nono/nono why --path {denied} --op write"  # as /nono/README says; a login shell has its own PATH
        else:
            return None
    return command


def text_of(content) -> str:
    """The text of a tool's result, however an API wraps it."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(map(text_of, content))
    return "".join(text_of(v) for v in content.values()) if isinstance(content, dict) else ""


def call(tools: list, results: list[str] = ()) -> tuple[str, dict] | None:
    """The agent's shell tool and arguments that fit its schema; None if it has none, or nothing is to be done."""
    known = {}
    command = next_command(list(results))
    if not command:
        return None
    if tools:
        print("command:", command, file=sys.stderr, flush=True)
    for tool in tools:
        for f in tool.get("functionDeclarations") or [tool.get("function") or tool]:
            known[f.get("name")] = f.get("parameters") or f.get("parametersJsonSchema") or f.get("input_schema") or {}
    name = next((n for n in SHELLS if n in known), None)
    if not name:
        return None
    properties = known[name].get("properties") or {}
    arguments = {k: "run" for k in known[name].get("required") or [] if (properties.get(k) or {}).get("type") in ("string", "STRING")}
    key = "cmd" if "cmd" in properties else "command"
    array = (properties.get(key) or {}).get("type") == "array"
    arguments[key] = ["sh", "-c", command] if array else command
    return name, arguments


def chat(body: dict, path: str) -> tuple[list, dict]:
    """OpenAI's /chat/completions: events of a stream, and the whole."""
    results = [text_of(m["content"]) for m in body["messages"] if m["role"] == "tool"]
    called = call(body.get("tools") or [], results)
    message = {"role": "assistant", "content": DONE if body.get("tools") else EDIT}
    if called:
        message = {"role": "assistant", "content": None, "tool_calls": [
            {"index": 0, "id": f"call_{len(results)}", "type": "function", "function": {"name": called[0], "arguments": json.dumps(called[1])}}]}
    common = {"id": "chat_1", "created": 1, "model": "stub"}
    why = "tool_calls" if called else "stop"
    chunks = [{**common, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
              for delta, reason in ((message, None), ({}, why))]
    chunks.append({**common, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
    whole = {**common, "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": why}], "usage": USAGE}
    return [(None, c) for c in chunks] + [(None, "[DONE]")], whole


def responses(body: dict, path: str) -> tuple[list, dict]:
    """OpenAI's /responses."""
    results = [text_of(i["output"]) for i in body["input"] if i.get("type") == "function_call_output"]
    called = call(body.get("tools") or [], results)
    item = {"type": "message", "id": "m_1", "role": "assistant", "content": [{"type": "output_text", "text": DONE}]}
    if called:
        item = {"type": "function_call", "id": f"f_{len(results)}", "call_id": f"call_{len(results)}", "name": called[0], "arguments": json.dumps(called[1])}
    whole = {"id": "resp_1", "object": "response", "status": "completed", "output": [item],
             "usage": {"input_tokens": 1, "input_tokens_details": None, "output_tokens": 1, "output_tokens_details": None, "total_tokens": 2}}
    events = [{"type": "response.created", "response": {"id": "resp_1"}}, {"type": "response.output_item.done", "output_index": 0, "item": item},
              {"type": "response.completed", "response": whole}]
    return [(e["type"], e) for e in events], whole


def anthropic(body: dict, path: str) -> tuple[list, dict]:
    """Anthropic's /messages."""
    results = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"] if b.get("type") == "tool_result"]
    called = call(body.get("tools") or [], [text_of(b.get("content") or "") for b in results])
    block = {"type": "tool_use", "id": f"toolu_{len(results)}", "name": called[0], "input": called[1]} if called else {"type": "text", "text": DONE}
    why = "tool_use" if called else "end_turn"
    whole = {"id": f"msg_{len(results)}", "type": "message", "role": "assistant", "model": body.get("model"), "content": [block], "stop_reason": why,
             "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
    empty = {**block, "input": {}} if called else {**block, "text": ""}
    delta = {"type": "input_json_delta", "partial_json": json.dumps(called[1])} if called else {"type": "text_delta", "text": DONE}
    events = [{"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
              {"type": "content_block_start", "index": 0, "content_block": empty}, {"type": "content_block_delta", "index": 0, "delta": delta},
              {"type": "content_block_stop", "index": 0},
              {"type": "message_delta", "delta": {"stop_reason": why, "stop_sequence": None}, "usage": {"output_tokens": 1}}, {"type": "message_stop"}]
    return [(e["type"], e) for e in events], whole


def gemini(body: dict, path: str) -> tuple[list, dict]:
    """Gemini's :generateContent and :streamGenerateContent."""
    parts = [p for c in body["contents"] for p in c.get("parts") or []]
    called = call(body.get("tools") or [], [text_of(p["functionResponse"]) for p in parts if "functionResponse" in p])
    part = {"functionCall": {"name": called[0], "args": called[1]}} if called else {"text": DONE}
    whole = {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
             "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}}
    return [(None, whole)], whole


APIS = (("/chat/completions", chat), ("/responses", responses), ("/messages", anthropic), ("enerateContent", gemini))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, kind: str, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_HEAD(self) -> None:
        self.answer("application/json", b"")

    def do_GET(self) -> None:
        models = {"object": "list", "data": [{"id": "stub", "object": "model", "created": 1, "owned_by": "kf"}], "models": []}
        self.answer("application/json", json.dumps(models).encode())

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        api = next((f for end, f in APIS if path.endswith(end)), None)
        if not api:
            print("no such API:", path, file=sys.stderr, flush=True)
            self.answer("application/json", b'{"error": {"message": "no such API"}}', 404)
            return
        body = json.loads(text)
        print("asked:", path, sorted(body), file=sys.stderr, flush=True)
        events, whole = api(body, path)
        if body.get("stream") or "stream" in path:
            lines = "".join((f"event: {name}\n" if name else "") + f"data: {e if isinstance(e, str) else json.dumps(e)}\n\n" for name, e in events)
            self.answer("text/event-stream", lines.encode())
        else:
            self.answer("application/json", json.dumps(whole).encode())


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[2] + ".new", "w", encoding="ascii") as ready:
    ready.write(str(server.server_port))
os.rename(sys.argv[2] + ".new", sys.argv[2])
server.serve_forever()
