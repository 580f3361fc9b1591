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
    ("-Wanalyzer-null-dereference", "src/cli/options.c"): "what getopt_long() answers is a row of the table that it was given",
    ("-Wanalyzer-null-dereference", "src/flat/flat.c"): "the text is known to end in a line end: strchr() finds one",
    ("-Wanalyzer-null-dereference", "src/nono-runc/cmdline.c"): "what parsing has accepted, find_flag() finds again",
    # clang-tidy
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
