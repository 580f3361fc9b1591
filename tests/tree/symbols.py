# SPDX-License-Identifier: Apache-2.0
"""What the built objects tell about the source: which file needs which, and who owns a name."""
import collections
import glob
import os
import re
import subprocess

# folder of src/: how the names begin that its files give to others.  Where two fit, the longer one counts.
PREFIXES = {
    "base": "kf_json_put kf_json_open kf_json_close kf_arena kf_buf kf_err kf_fail kf_log kf_file kf_read kf_write kf_path kf_dir kf_escape kf_utf8 kf_sha256 kf_version kf_own_directory kf_mkdir kf_fd kf_syslog",
    "text": "kf_diag kf_diags kf_lines kf_diff",
    "json": "kf_json kf_jsonc",
    "toml": "kf_toml",
    "cli": "kf_command kf_options kf_print kf_complete",
    "flat": "kf_policy kf_profile_name kf_builtin",
    "seccomp": "kf_seccomp kf_cmp kf_cond",
    "profile": "kf_profile kf_policy_format kf_netpol kf_builtins kf_nbuiltins kf_nprofile",
    "plan": "kf_plan kf_verify kf_settings",
    "event": "kf_child kf_job kf_jobs kf_watch kf_ready",
    "config": "kf_config kf_runtimes kf_refused kf_settings_text kf_started kf_handler_name",
    "sandbox": "kf_landlock kf_sandbox kf_domain kf_object kf_filter kf_process kf_proof",
    "grants": "kf_grants kf_decide kf_deny kf_given kf_listing kf_open kf_tree kf_vars kf_volumes",
    "confine": "kf_confine kf_event_calls kf_libc_calls",
    "nri": "nri",
    "nri-plan": "kf_nri",
    "oci": "kf_oci kf_mask",
    "host": "kf_host kf_run kf_socket kf_distro kf_distros kf_evidence kf_which kf_unit kf_systemctl kf_argv",
    "cri": "kf_cri",
    "node": "kf_node kf_journal kf_merge kf_ours kf_payload kf_predecessor kf_transaction kf_beside kf_crio kf_containerd kf_fingerprint",
    "kata": "kf_kata",
    "image": "kf_ext4 kf_image",
    "observe": "kf_http kf_metric kf_metrics kf_ocsf kf_state",
    "kube": "kf_kube kf_marks",
    "egress": "kf_egress",
    "egress-node": "kf_pod kf_netns kf_pods kf_serve_command kf_table kf_trail kf_trusted",
    "nono-egress": "kf_broker kf_closed",
    "nono-egress/worker": "kf_worker",
    "denial": "kf_audit kf_bucket kf_denial kf_domains kf_feed kf_fold kf_serials kf_who",
    "enter": "kf_enter",
    "nono": "kf_nono",
    "nono-bwrap": "kf_bwrap",
    "nono-nri": "kf_adjust kf_decisions kf_guard_refused kf_helper kf_library kf_lives kf_plugin kf_program kf_publish kf_refusals kf_seccomp_cache kf_setup kf_sync kf_view",
    "kubefence": "kf_report",
    "kubefence/agent": "kf_agent",
    "kubefence/cluster": "kf_cluster",
    "kubefence/doctor": "kf_doctor",
    "kubefence/explain": "kf_explain",
    "kubefence/kata": "kf_kata_cli",
    "kubefence/node": "kf_cleanup kf_install",
    "kubefence/profile": "kf_profiles kf_profile_text",
    "kubefence/seccomp": "kf_seccomp_text",
    "kubefence/status": "kf_screen kf_status",
    "kubefence/try": "try",
    "nono-bwrap": "kf_bwrap",
}
# Each folder of the command line has commands, which its list of commands needs.
COMMANDS = ("kubefence", "kf_cmd_")
BUILD = "out/build/src"


def read(root: str) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """source file -> what it gives to others; -> what it needs of others."""
    gives, needs = collections.defaultdict(set), collections.defaultdict(set)
    for o in glob.glob(f"{root}/{BUILD}/**/*.o", recursive=True):
        m = re.fullmatch(rf"{root}/{BUILD}/(.*?)/[^/]*\.p/(.*)\.o", o)
        # Objects of other folders' files are built again for the launcher; generated ones have no folder.
        if not m or m[2].startswith("..") or "meson-generated" in m[2]:
            continue
        source = f"{m[1]}/{m[2]}"
        if not os.path.exists(f"{root}/src/{source}"):
            source = next((s for s in (f"{m[1]}/{m[2].replace('_', '/', n)}" for n in range(1, 4)) if os.path.exists(f"{root}/src/{s}")), "")
        for line in subprocess.run(["nm", "--format=posix", o], capture_output=True, text=True, check=True).stdout.splitlines():
            name, kind = line.split()[:2]
            if source and kind in "TDBRC":
                gives[source].add(name)
            elif source and kind == "U":
                needs[source].add(name)
    return gives, needs


def circles(gives: dict[str, set[str]], needs: dict[str, set[str]]) -> list[str]:
    """The files that are in a circle of needs."""
    owner = {name: source for source, names in gives.items() for name in names if name != "main"}
    edges = {source: {owner[n] for n in names if n in owner} - {source} for source, names in needs.items()}

    def reach(start: str) -> set[str]:
        seen, todo = set(), [start]
        while todo:
            for other in edges.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen
    return sorted(source for source in edges if source in reach(source))


def strangers(gives: dict[str, set[str]]) -> list[str]:
    """Names that begin as another folder's do, or as nobody's."""
    owners = {prefix: folder for folder, prefixes in PREFIXES.items() for prefix in prefixes.split()}
    wrong = []
    for source, names in gives.items():
        folder = os.path.dirname(source)
        for name in names - {"main"} if folder in PREFIXES else ():
            if folder.startswith(COMMANDS[0]) and name.startswith(COMMANDS[1]):
                continue
            fits = [p for p in owners if name == p or name.startswith(f"{p}_") or (name.startswith(p) and p.endswith("s"))]
            if not fits or owners[max(fits, key=len)] != folder:
                wrong.append(f"{source}: {name}")
    return sorted(wrong)
