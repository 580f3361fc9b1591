# SPDX-License-Identifier: Apache-2.0
"""What a checker says and is wrong about: (check, file), and why.  An entry that nothing needs any more is a failure."""

SUPPRESSED = {
    # cppcheck
    ("AssignmentIntegerToAddress", "src/nri/dispatch.c"): "CALLBACK() takes a function pointer out of a table of functions at an offset",
    ("uninitvar", "src/toml/edit.c"): "chain[] is filled up to depth, and read from there down",
    ("ctunullpointer", "src/kubefence/agent/plugin.c"): "sizeof looks at no memory, and all else asks whether there is a result",
    ("ctuuninitvar", "src/kubefence/learn/watch.c"): "process_vm_readv() writes what the iovec points to",
    # gcc -fanalyzer
    ("-Wanalyzer-malloc-leak", "src/grants/deny.c"): "it is the list's, which its owner releases",
    ("-Wanalyzer-malloc-leak", "src/node/crio_files.c"): "it is the files', which their owner releases",
    ("-Wanalyzer-malloc-leak", "src/musl/alloc.c"): "it is malloc() itself",
    ("-Wanalyzer-malloc-leak", "src/nono-egress/worker/resolve.c"): "it is the cache's, which lives as long as the process",
    ("-Wanalyzer-null-dereference", "src/cli/options.c"): "what getopt_long() answers is a row of the table that it was given",
    ("-Wanalyzer-null-dereference", "src/flat/flat.c"): "the text is known to end in a line end: strchr() finds one",
    ("-Wanalyzer-null-dereference", "src/nono-runc/cmdline.c"): "what parsing has accepted, find_flag() finds again",
    # clang-tidy
    ("bugprone-suspicious-missing-comma", "src/explain/reach.c"): "VOLUME is one path, put together of parts",
    ("bugprone-suspicious-missing-comma", "src/kubefence/cluster/suggest.c"): "KF_FEED_SELECTOR is one argument, put together of parts",
    ("bugprone-suspicious-missing-comma", "src/kubefence/sysdump/command.c"): "KF_PART_OF_US is one argument, put together of parts",
    ("clang-analyzer-core.CallAndMessage", "src/egress-node/child.c"): "the loop before it fills as many as are read",
    ("clang-analyzer-core.CallAndMessage", "src/nono/wrap.c"): "prepare_start() fails, or has set what it returns",
    ("clang-analyzer-core.NonNullParamChecker", "src/nono-runc/mounted.c"): "kf_guard_mounted_shares() is given one; only kf_guard_mounted() has none",
    ("clang-analyzer-core.NullDereference", "src/kubefence/explain/command.c"): "a compiled profile has an origin for each of its rules",
    ("clang-analyzer-core.NonNullParamChecker", "src/kubefence/sysdump/command.c"): "each part has a command",
    ("clang-analyzer-core.NonNullParamChecker", "src/seccomp/merge.c"): "side_init() makes no entry without a name",
    ("clang-analyzer-core.NullDereference", "src/nri/runtime.c"): "no element is looked at when there are none",
    ("clang-analyzer-core.StackAddressEscape", "src/nono/why.c"): "the process ends with the function whose options these are",
    ("clang-analyzer-core.StackAddressEscape", "src/nono/wrap.c"): "the process ends with the function whose options these are",
    ("readability-inconsistent-declaration-parameter-name", "include/nri/nri.h"): "inside, 'options' is the copy of what was given, in our size",
}


def judge(found: list[tuple[str, str, str]]) -> tuple[list[str], set[tuple[str, str]]]:
    """What is left of @found, and which entries it needed."""
    left = [f"{name}:{what} [{check}]" for check, name, what in found if (check, name) not in SUPPRESSED]
    return left, {(check, name) for check, name, _ in found if (check, name) in SUPPRESSED}
