#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""messages.py: every message that a user can meet, read from the sources, as the site's page messages.md (to stdout).

A message is a literal that reaches a user as an error, a warning or a refusal: what the functions of MESSAGES are given,
the tables of MESSAGE_TABLES, and what the chart's templates answer. Every other literal of three words and more must be in
OTHER or OTHER_TABLES: tests/site fails for one that nobody has classified. Texts of Kubernetes, containerd and CRI-O are in
docs/troubleshooting.md.
"""
import html
import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Functions and macros: what the literals are that they are given.
SYSTEM, WRAP, MEMORY, SAID = "system", "wrap", "memory", "said"
MESSAGES = {
    "kf_fail": SAID, "kf_err_set": SAID, "kf_fail_sys": SYSTEM, "kf_err_set_sys": SYSTEM, "kf_fail_wrap": WRAP, "kf_err_wrap": WRAP,
    "kf_fail_nomem": MEMORY,
    **dict.fromkeys((
        "kf_diag_error", "kf_diag_warning", "bad", "mistake", "wrong", "fail_path", "fail_here", "fail_at", "entry_error", "fail_untyped",
        "kf_doctor_say", "set_result", "report_finding", "report_skip", "kf_command_fail", "kf_command_usage", "nri_fail", "nri_error_set",
        "nri_failed", "kf_log", "kf_ext4_fail", "add_warning", "refuse_container", "refuse_entry", "refuse_choice", "refuse_option", "break_worker", "give_up",
        "kf_pod_broken", "set_reason", "kf_agent_claim", "kf_agent_take_api", "report_part", "say", "kf_nono_print", "kf_report_say",
        "kf_report_finish", "explain_failure", "fprintf", "kf_print_text", "kf_agent_plugin_said", "kf_print_line", "reply_text", "add_reply",
        "kf_arena_printf", "kf_buf_add_line", "fputs"), SAID),
}
# What gets literals of several words and prints no message with them, and why.
OTHER = {
    **dict.fromkeys(("X", "METRIC", "put_counter", "put_family"), "help of a metric"),
    **dict.fromkeys(("OPTION", "TRY_ROW", "KF_KATA_OPT", "OPTION_OUTPUT", "KF_OPTIONS", "FD_OPTION", "read_list"), "help of an option or a key"),
    **dict.fromkeys(("kf_buf_addf", "kf_buf_adds", "snprintf", "printf", "add_member", "add_line", "kf_bwrap_print"), "what a command prints, or a file's contents"),
    **dict.fromkeys(("strstr", "strcmp", "strncmp"), "compared with what others wrote"),
    **dict.fromkeys(("kf_toml_parse", "kf_fd_slurp", "kf_learn_read", "X509_LOOKUP_meth_new"), "names an object within a message"),
    **dict.fromkeys(("add_example", "add_candidate"), "an example, a completion"),
    "kf_json_put_string": "a value of JSON",
    "_Static_assert": "of the compiler",
}
# Files whose tables of literals are parts of messages; those whose are not, and why.
MESSAGE_TABLES = {
    "src/nono-bwrap/options.c", "src/nono-bwrap/restrict.c", "src/kubefence/doctor/*.c", "src/kubefence/cluster/*.c", "src/node/state.c", "src/node/handler.c",
    "src/node/journal.c", "src/node/uninstall.c", "src/host/which.c", "src/host/host.c", "src/host/unit.c", "src/image/layout.c",
    "src/image/boot.c", "src/kata/image.c", "src/kata/verify.c", "src/kube/client.c", "src/kube/marks.c", "src/kubefence/agent/agent.c",
    "src/kubefence/kata/install.c", "src/kubefence/kata/status.c", "src/kubefence/kata/kata.h", "src/learn/learn.c", "src/grants/*.c",
    "src/sandbox/*.c", "src/plan/*.c", "src/nri/dispatch.c", "src/nono-nri/main.c", "src/nono-nri/plugin.c", "src/nono-nri/setup.c",
    "src/egress-node/pod.c", "src/egress-node/pods.c", "src/nono-egress/worker/*.c", "src/profile/keys.c", "src/profile/check.c", "src/config/config.c",
    "src/explain/explain.c", "src/observe/http.c", "src/confine/filter.c", "src/seccomp/seccomp.h", "src/json/jsonc.c", "src/kubefence/learn/world.c",
    "src/kata/keys.c", "src/oci/view.c", "src/review/scan.c",
}
OTHER_TABLES = {
    "src/kata/agent_policy.c": "comments of the policy", "src/profile/schema.c": "the schema of profiles", "src/cli/complete.c": "scripts",
    "src/kata/files.c": "a file's contents", "src/node/containerd_text.c": "a file's contents", "src/node/crio.c": "a file's contents",
    "src/node/predecessor.c": "a file's contents", "src/nono-runc/*.c": "a file's contents", "src/profile/secrets.c": "a profile",
    "src/egress-node/serve.c": "help", "src/nono-egress/*.c": "help", "src/nono-nri/options.c": "help", "src/nono/*.c": "help",
    "src/nono-nri/status.c": "fields of an HTTP answer",
    "src/kubefence/*": "help", "src/grants/decide.h": "help",
}


@dataclass(frozen=True)
class Subject:
    """Folders of the sources; what their messages mean, and what to do where the message does not say."""

    title: str
    folders: tuple[str, ...]
    means: str


SUBJECTS = (
    Subject("Profiles", ("profile", "text", "json", "flat", "learn"),
            "A profile, or what was read to make one, has a mistake; the message begins with file, line and column. Correct the place, "
            "and see with `kubefence profile check FILE` that nothing is left. A profile with a mistake is not used; the plugin keeps the "
            "one that it had."),
    Subject("Seccomp", ("seccomp",), "A seccomp policy cannot be read, merged or checked. [seccomp.md](seccomp.md) has the rules; the "
            "container does not start."),
    Subject("Configuration and the plugin", ("config", "nono-nri", "observe", "event", "nri-plan"),
            "The plugin `nono-nri`, or what reads its configuration. Its log has the message (`kubectl logs`, or `journalctl -u nono-nri`). "
            "Correct the key, and restart the plugin; containers are refused meanwhile. [nono-nri.md](nono-nri.md) has all keys."),
    Subject("Why a container is refused", ("plan", "oci"),
            "The pod's specification, the image or another plugin asks for what the sandbox cannot hold. The kubelet's event has the message; "
            "change the pod, then create it again."),
    Subject("The guard", ("nono-runc", "musl"),
            "The guard `nono-runc` could not start the container in the sandbox, so it did not start. The kubelet's event and the runtime's log "
            "have the message. What it names on the node is `kubefence node install` to put right; what it names in the container, the pod."),
    Subject("The launcher, in the container", ("nono", "sandbox", "enter", "grants", "explain"),
            "The launcher `nono`, or a command that asks what a policy grants. Nothing was started without the sandbox. `kubefence doctor` says "
            "what the kernel lacks, `nono why` what the profile decides."),
    Subject("nono-bwrap", ("nono-bwrap",), "bubblewrap's command line, as far as it can be answered inside the sandbox: [bwrap.md](bwrap.md). "
            "Leave the option out, or have the pod's volumes lay the files out."),
    Subject("Egress", ("egress", "egress-node", "nono-egress"),
            "The broker and its rules: [egress.md](egress.md), [egress-pods.md](egress-pods.md). A request that is refused is not sent; a rule with a "
            "mistake is not used, and neither is its list."),
    Subject("Node set-up", ("node", "host", "toml", "kubefence/node"),
            "`kubefence node`, or the node agent that does the same. It has changed nothing, or has taken back what it changed. Put right what the "
            "message names and run it again; [node-setup.md](node-setup.md) says what it needs."),
    Subject("Kata", ("kata", "image", "kubefence/kata"), "`kubefence kata`: [kata.md](kata.md). Put right what the message names and run it again."),
    Subject("The cluster and its agent", ("kube", "cri", "kubefence/agent", "kubefence/cluster"),
            "The node agent, or `kubectl nono`, asked the API server or the runtime. What was not answered is never taken for absent: the agent tries "
            "again, a command ends. Look at the rights (`kubectl auth can-i`) and at what the message names."),
    Subject("Doctor", ("kubefence/doctor",), "A check of `kubefence doctor`: [doctor.md](doctor.md) has a paragraph for each, with what to do."),
    Subject("Denials and learning", ("denial", "kubefence/denials", "kubefence/learn", "kubefence/sysdump"),
            "What tells of denials, or learns from them: [denials.md](denials.md). The sandbox itself does not depend on it."),
    Subject("Review of volumes", ("review", "kubefence/review"),
            "Changes that wait for a review: [review.md](review.md). Nothing was committed that was not listed, and nothing is lost: put right what "
            "the message names, look at the changes again (`kubefence review diff`), and give the same command once more."),
    Subject("Other commands", ("cli", "base", "confine", "kubefence", "kubefence/try", "kubefence/explain", "kubefence/profile", "kubefence/seccomp",
                               "kubefence/images"),
            "The command line is wrong (`--help` of the command has it), or a file that it names cannot be used: look at the file, its owner and its mode."),
    Subject("libnri", ("nri",), "The connection between a plugin and the runtime: [libnri.md](libnri.md). Of the plugin `nono-nri` it means that the runtime "
            "ended the connection or speaks another NRI: the runtime's log says why. It connects again by itself."),
    Subject("The chart", ("charts",), "Helm refuses the values, or the API server refuses the object: change what the message names, and give the same command again."),
)
BUILD_ONLY = ("src/profilec/", "src/nono-runc/make_syscalls.c")  # run while building
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[A-Za-z_]\w*|\n|.', re.S)
KEYWORDS = {"if", "return", "while", "for", "sizeof", "switch"}


@dataclass(frozen=True)
class Literal:
    file: str
    line: int
    function: str  # "" in a table
    text: str


def literals(file: str, text: str) -> list[Literal]:
    """String literals, joined as the compiler joins them, and the innermost call that each is an argument of."""
    found, stack, before, line, open_text = [], [], "", 1, None
    for token in (m[0] for m in TOKEN.finditer(text)):
        if token == "\n" or token.startswith(("/*", "//")) or token.isspace():
            line += token.count("\n")
            continue
        if token[0] == '"':
            open_text = (open_text[0], open_text[1] + token[1:-1]) if open_text else (line, token[1:-1])
            before = token
            continue
        if open_text:
            if token[0].isupper() and before[0] == '"' and re.fullmatch(r"PRI[dux]\w+|[A-Z]{2}[A-Z0-9_]+", token):
                open_text = (open_text[0], open_text[1] + ("u" if token.startswith("PRI") else token))
                continue
            calls = [s for s in stack if re.match(r"[A-Za-z_]", s) and s not in KEYWORDS]
            found.append(Literal(file, open_text[0], calls[-1] if calls else "", open_text[1]))
            open_text = None
        if token in "([{":
            stack.append(before if token == "(" and re.fullmatch(r"[A-Za-z_]\w*", before) else token)
        elif token in ")]}" and stack:
            stack.pop()
        before = token
    return found


def is_text(text: str, words: int = 3) -> bool:
    return " " in text and len(re.findall(r"[A-Za-z]{2,}", re.sub(r"%[-+ #0-9.*]*[a-z]+", " ", text))) >= words


def templates() -> list[Literal]:
    """What Helm and the admission policies answer."""
    found = []
    for path in sorted((ROOT / "charts/kubefence/templates").rglob("*.*")):
        file = str(path.relative_to(ROOT))
        for n, line in enumerate(path.read_text().splitlines(), 1):
            m = re.search(r'\bfail (?:\(printf )?"((?:\\.|[^"\\])*)"', line) or re.search(r'\bmessage(?:Expression)?: "(.*)"$', line) \
                or re.match(r"((?:WARNING|NOTE): .*)$", line)
            if m:
                found.append(Literal(file, n, "kf_fail", re.sub(r"\{\{.*?\}\}", "...", m[1])))
    return found


def every() -> list[Literal]:
    found = []
    for path in sorted([*(ROOT / "src").rglob("*.[ch]")]):
        file = str(path.relative_to(ROOT))
        if not file.startswith(BUILD_ONLY):
            found += literals(file, path.read_text())
    return found


def among(file: str, patterns) -> bool:
    return any(fnmatch(file, p) for p in patterns)


def is_message(x: Literal) -> bool:
    if x.function in MESSAGES:
        # Two words are a message of these, and one before the system's reason: "read '%s'".
        return is_text(x.text, 2) or MESSAGES[x.function] is not SAID and x.text.strip("%s: ") != ""
    return x.function == "" and among(x.file, MESSAGE_TABLES) and is_text(x.text)


def messages() -> list[Literal]:
    return [x for x in every() if is_message(x)] + templates()


def unclassified() -> list[Literal]:
    """Literals of several words of which nobody has said whether users meet them."""
    return [x for x in every() if is_text(x.text) and not is_message(x)
            and not (x.function in OTHER or x.function == "" and among(x.file, OTHER_TABLES))]


def subject(file: str) -> Subject | None:
    folder = str(Path(file).parent).removeprefix("src/")
    best = None
    for s in SUBJECTS:
        for f in s.folders:
            if (folder == f or folder.startswith(f + "/")) and len(f) >= len(best[1] if best else ""):
                best = (s, f)
    return best[0] if best else None


def slug(text: str) -> str:
    plain = re.sub(r"%[-+ #0-9.*]*[a-z]+|\\.", " ", text)
    return "m-" + ("-".join(re.findall(r"[a-z0-9]+", plain.lower()))[:72].strip("-") or "text")


def anchors(found: list[Literal]) -> dict[Literal, str]:
    """An anchor for each; a text that is written twice has one, two texts never share one."""
    named, used = {}, {}
    for x in found:
        name, n = slug(x.text), 1
        while used.setdefault(name if n == 1 else f"{name}-{n}", x.text) != x.text:
            n += 1
        named[x] = name if n == 1 else f"{name}-{n}"
    return named


def quoted() -> list[tuple[list[str], str, str]]:
    """Rows of docs/troubleshooting.md: (parts of the message, what to do, the section's anchor)."""
    rows, section = [], ""
    for line in (ROOT / "docs/troubleshooting.md").read_text().splitlines():
        if line.startswith("## "):
            section = re.sub(r"[^\w\- ]", "", line[3:].lower()).replace(" ", "-")
        cells = line.strip("| ").split(" | ")
        if line.startswith("| `") and len(cells) == 3:
            for text in re.findall(r"`([^`]+)`", cells[0]):
                parts = [p.strip(" '\"") for p in re.split(r"\b[A-Z]{2,}\b|\.\.\.", text)]
                rows.append(([p for p in parts if len(p) > 11], cells[2], section))
    return [r for r in rows if r[0]]


def remedy(x: Literal, rows) -> str:
    text = x.text.replace('\\"', '"')
    for parts, what, section in rows:
        if all(p in text for p in parts):
            return f"{what} ([more](troubleshooting.md#{section}))"
    kind = MESSAGES.get(x.function, SAID)
    if kind is SYSTEM:
        return "the system's reason follows: [what it means](#the-systems-reasons)"
    if kind is MEMORY:
        return "[out of memory](#the-systems-reasons)"
    if kind is WRAP:
        return "what follows the colon is a message of its own"
    m = re.search(r"(?:; |: )((?:(?!; ).)*)$", text) if "; " in text else None
    if m:
        return code(m[1])
    return "see above"


def code(text: str) -> str:
    return "<code>" + html.escape(text.replace("\\n", " ").replace('\\"', '"'), quote=False).replace("|", "&#124;").strip() + "</code>"


REASONS = (
    ("No such file or directory (ENOENT)", "the file is not there, or a directory on the way to it"),
    ("Permission denied (EACCES), Operation not permitted (EPERM)", "the caller has no right to it: run the command as root; in a container see `nono why`"),
    ("Read-only file system (EROFS)", "the place cannot be written: mount it writable, or choose another"),
    ("No space left on device (ENOSPC), Disk quota exceeded (EDQUOT)", "make room on the file system that the message names"),
    ("Too many levels of symbolic links (ELOOP)", "a symlink stands where a file or a directory must be: replace it"),
    ("Not a directory (ENOTDIR), Is a directory (EISDIR)", "what stands at the path is of another kind: remove it or name another"),
    ("Too many open files (EMFILE, ENFILE)", "raise the limit of the service (`LimitNOFILE=`), or find what holds them"),
    ("Out of memory, Cannot allocate memory (ENOMEM)", "raise the memory limit of the pod or the service; nothing was started without the sandbox"),
    ("Connection refused (ECONNREFUSED)", "nobody listens at the socket: start the runtime or the plugin"),
    ("Resource temporarily unavailable (EAGAIN), Connection timed out (ETIMEDOUT)", "the other side did not answer in time: look at its log and at the node's load"),
    ("Function not implemented (ENOSYS), Operation not supported (EOPNOTSUPP)", "the kernel is too old for it, or a seccomp policy answers so: `kubefence doctor`"),
    ("Text file busy (ETXTBSY), Device or resource busy (EBUSY)", "another program uses it: wait for it to end, and run the command again"),
    ("Input/output error (EIO)", "the disk or the file system: `dmesg`"),
)


def page() -> str:
    found, rows = messages(), quoted()
    named, seen = anchors(found), set()
    out = ["# All messages", "",
           "For whoever has a message and looks for what to do. Search this page for its fixed words: `%s`, `%d` and `...` stand for names and numbers.",
           "[Troubleshooting](troubleshooting.md) is ordered by what you see, and has the messages of Kubernetes, containerd and CRI-O, too.", "",
           "Many messages say themselves what to do, behind the semicolon; the right column repeats it. Where it says *see above*, the paragraph at the head "
           "of the section tells it.", ""]
    for s in SUBJECTS:
        mine = [x for x in found if subject(x.file) is s]
        out += [f"## {s.title}", "", s.means, "", "| message | made in | what to do |", "|---|---|---|"]
        for x in sorted(mine, key=lambda x: (x.text.lower(), x.file, x.line)):
            if named[x] in seen:
                continue
            seen.add(named[x])
            places = sorted({y.file for y in mine if y.text == x.text})
            out.append(f'| <a id="{named[x]}"></a>{code(x.text)} | {"<br>".join(places[:3])} | {remedy(x, rows)} |')
        out.append("")
    out += ["## The system's reasons", "", "Behind the colon of a message stands what the kernel answered:", "", "| reason | what to do |", "|---|---|",
            *(f"| {a} | {b} |" for a, b in REASONS), ""]
    return "\n".join(out)


if __name__ == "__main__":
    sys.stdout.write(page())
