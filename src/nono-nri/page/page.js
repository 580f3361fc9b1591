// SPDX-License-Identifier: Apache-2.0
// Reads /status.json and /denials.jsonl every few seconds and shows them.  Names and paths are what others chose: they
// become text (textContent) and nothing else, and what a reader would not see of them - controls, marks of direction,
// characters without width - is written out.
"use strict";
const EVERY = 5000; // milliseconds
const ROWS = 100;   // of a table at a time
const NAME = 300;   // characters of one cell

const byId = (id) => document.getElementById(id);

function visible(value) {
  const text = String(value ?? "");
  const cut = text.length > NAME ? text.slice(0, NAME) + "…" : text;
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function cell(value, className) {
  return element("td", visible(value), className);
}

function row(cells) {
  const made = element("tr");
  made.append(...cells);
  return made;
}

// A table whose rows are shown a hundred at a time, those that the filter leaves.
class Table {
  constructor(name, draw, words) {
    this.draw = draw;
    this.words = words;
    this.all = [];
    this.at = 0;
    this.body = byId(name + "-rows");
    this.count = byId(name + "-count");
    this.filter = byId(name + "-filter");
    this.back = byId(name + "-back");
    this.on = byId(name + "-on");
    this.chosen = () => true;
    this.shown = "";
    this.filter.addEventListener("input", () => this.turn(0));
    this.back.addEventListener("click", () => this.turn(this.at - ROWS));
    this.on.addEventListener("click", () => this.turn(this.at + ROWS));
  }

  turn(at) {
    this.at = at;
    this.show();
  }

  set(all) {
    this.all = all;
    this.show();
  }

  show() {
    const asked = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const left = this.all.filter((o) => this.chosen(o) && asked.every((w) => this.words(o).toLowerCase().includes(w)));
    this.at = Math.max(0, Math.min(this.at, Math.floor((left.length - 1) / ROWS) * ROWS));
    const part = left.slice(this.at, this.at + ROWS);
    const count = left.length ? `${this.at + 1}–${this.at + part.length} of ${left.length}` : "none";
    const text = count + (left.length < this.all.length ? ` (${this.all.length} without the filter)` : "");
    if (this.count.textContent !== text) this.count.textContent = text;
    this.back.disabled = this.at === 0;
    this.on.disabled = this.at + ROWS >= left.length;
    // What has not changed stays, with the reader's selection in it.
    const shown = JSON.stringify(part);
    if (shown === this.shown) return;
    this.shown = shown;
    this.body.replaceChildren(...part.map(this.draw));
  }
}

const containers = new Table("containers", (c) => row([
  cell(c.namespace), cell(c.pod), cell(c.container ?? "?"), cell(c.profile),
  c.unsandboxed ? cell("outside the sandbox: " + c.unsandboxed, "bad long") : cell("sandboxed", "good"),
  cell(c.guard === undefined ? "?" : c.guard ? "yes" : "no"), cell(c.timestamp),
]), (c) => [c.namespace, c.pod, c.container, c.profile, c.container_id, c.unsandboxed ? "outside" : "sandboxed"].join(" "));

function deed(d) {
  if (d.what === "more") return "more denials, too many to tell";
  if (d.kind === "egress") return `${d.what} ${d.path}:${d.port} (${String(d.blockers).replace("egress.", "")})`;
  const about = d.syscall ? "call " + d.syscall : d.what;
  return [about, d.port ? "port " + d.port : "", d.syscall ? "" : d.path ?? ""].filter(Boolean).join(" ");
}

const denials = new Table("denials", (d) => row([
  cell(d.time), cell(deed(d), "code long"), cell(d.count, "number"), cell(d.process || "?"), cell(d.namespace || "?"), cell(d.pod || "?"),
  cell(d.container || "?"), cell(d.profile || "?"), cell(d.rule ? JSON.stringify(d.rule) : "", "code long"),
]), (d) => [d.namespace, d.pod, d.container, d.profile, d.process, deed(d)].join(" "));
denials.chosen = (d) => !byId("denials-kind").value || d.kind === byId("denials-kind").value;
byId("denials-kind").addEventListener("change", () => denials.turn(0));

function fact(name, value, className) {
  const made = element("div");
  made.append(element("dt", name), element("dd", visible(value), className));
  return made;
}

function duration(us) {
  return us < 1000 ? us + " µs" : us / 1000 + " ms";
}

// The bound that @share of all did not exceed.
function quantile(latency, share) {
  const all = latency.counts.reduce((a, b) => a + b, 0);
  let sum = 0;
  for (let i = 0; i < latency.below_us.length; i++) {
    sum += latency.counts[i];
    if (sum >= share * all) return "at most " + duration(latency.below_us[i]);
  }
  return "more than " + duration(latency.below_us[latency.below_us.length - 1]);
}

function showLatency(latency) {
  const all = latency.counts.reduce((a, b) => a + b, 0);
  byId("latency-text").textContent = all
    ? `${all} containers: half of them ${quantile(latency, 0.5)}, 99 in 100 ${quantile(latency, 0.99)}.`
    : "No container has come yet.";
  byId("latency-rows").replaceChildren(...latency.counts.map((n, i) => {
    const share = element("td", undefined, "share");
    if (n) {
      const bar = element("span", undefined, "bar");
      bar.style.width = (100 * n) / all + "%";
      share.append(bar);
    }
    const bound = i < latency.below_us.length ? duration(latency.below_us[i]) : "longer";
    return row([cell(bound), cell(n, "number"), share]);
  }));
}

function showNode(s) {
  const versions = new Set(s.programs.map((p) => p.version));
  const outside = s.containers.filter((c) => c.unsandboxed).length;
  const unguarded = s.handlers.filter((h) => !h.guard).map((h) => h.name);
  byId("node").textContent = visible(s.node);
  document.title = "kubefence " + visible(s.node);
  byId("facts").replaceChildren(
    fact("Runtime", s.connection.connected ? `${s.connection.runtime}, since ${s.connection.since}` : "not connected",
         s.connection.connected ? "" : "bad"),
    fact("Connections since the start", s.connection.times),
    fact("Handlers with the guard", s.handlers.filter((h) => h.guard).map((h) => h.name).join(", ") || "none"),
    ...(unguarded.length ? [fact("Handlers without the guard", unguarded.join(", "), "warn")] : []),
    fact("Versions", s.programs.map((p) => `${p.name} ${p.version}`).join(", ") + (versions.size > 1 ? ": not the same" : ""),
         versions.size > 1 ? "warn" : ""),
    fact("Profiles", `${s.profiles}, by default ${s.default_profile}`),
    fact("Containers outside the sandbox", outside, outside ? "bad" : "good"),
    fact("Sandboxed since the start", s.decisions.injected),
    fact("Refused since the start, retries included", s.decisions.refused, s.decisions.refused ? "warn" : ""),
    fact("Running since", s.started),
    ...(s.state_directory ? [] : [fact("State directory", "cannot be written: containers are not known", "bad")]),
  );
  byId("rejected").hidden = !s.rejected_profiles.length;
  byId("rejected-rows").replaceChildren(...s.rejected_profiles.map((p) => row([cell(p.name), cell(p.reason, "long")])));
  byId("refused").hidden = !s.refused.length;
  byId("refused-rows").replaceChildren(...s.refused.map((r) => row([
    cell(r.time), cell(r.reason, "long"), cell(r.namespace || "?"), cell(r.pod || "?"), cell(r.container || "?"), cell(r.by)])));
  const verdict = byId("verdict");
  const said = s.ready ? "√ ready for sandboxed pods" : "× not ready: " + visible(s.reason);
  verdict.className = s.ready ? "good" : "bad";
  if (verdict.textContent !== said) verdict.textContent = said;
}

// The worst first, then by name.
function order(a, b) {
  return !a.unsandboxed - !b.unsandboxed || (a.namespace + "/" + a.pod).localeCompare(b.namespace + "/" + b.pod);
}

function lines(text) {
  const found = [];
  for (const line of text.split("\n")) {
    try {
      const o = JSON.parse(line);
      if (o && o.what) found.push(o);
    } catch {
      // The end of a line that is being written.
    }
  }
  return found;
}

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(4 * EVERY) });
  if (!answer.ok) throw new Error(path + ": " + answer.status);
  return answer.text();
}

async function refresh() {
  const trouble = byId("trouble");
  try {
    const [state, log] = await Promise.all([ask("/status.json"), ask("/denials.jsonl")]);
    const s = JSON.parse(state);
    showNode(s);
    showLatency(s.latency);
    containers.set(s.containers.sort(order));
    const feed = { on: "", off: "The denial feed does not run on this node; see kubefence denials." }[s.denial_feed];
    byId("denials-feed").textContent = feed ?? "Denials cannot be read: " + visible(s.denial_feed);
    denials.set(lines(log).reverse());
    trouble.hidden = s.complete;
    trouble.textContent = s.complete ? "" : "Some containers could not be read.";
  } catch (e) {
    trouble.hidden = false;
    trouble.className = "bad";
    trouble.textContent = "This is old: nono-nri does not answer (" + visible(e.message) + ").";
  }
  document.documentElement.dataset.read = String(Number(document.documentElement.dataset.read ?? 0) + 1);
  setTimeout(whenSeen, EVERY);
}

// A page that nobody looks at asks nothing.
function whenSeen() {
  if (document.visibilityState === "visible") refresh();
  else document.addEventListener("visibilitychange", whenSeen, { once: true });
}

refresh();
