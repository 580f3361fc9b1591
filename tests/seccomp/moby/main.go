// SPDX-License-Identifier: Apache-2.0

// Prints moby's default seccomp profile for the capabilities of an ordinary
// pod as OCI JSON, for each architecture: {"amd64": {...}, "arm64": {...}}.
package main

import (
	"encoding/json"
	"log"
	"os"
	"reflect"
	"runtime"
	"slices"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// What containerd and CRI-O give a pod that asks for nothing.
var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
	"CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// Every kernel that can run the sandbox is newer than this.
var kernel = seccomp.KernelVersion{Kernel: 5, Major: 13}

func older(v *seccomp.KernelVersion) bool {
	return v.Kernel < kernel.Kernel || v.Kernel == kernel.Kernel && v.Major <= kernel.Major
}

func contain(list, of []string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return slices.Contains(of, s) })
}

// The module itself resolves its rules for the architecture it runs on only.
func resolve(arch string) *specs.LinuxSeccomp {
	profile := seccomp.DefaultProfile()
	out := profile.LinuxSeccomp
	for _, call := range profile.Syscalls {
		if f := call.Excludes; f != nil {
			if contain(f.Caps, capabilities) || slices.Contains(f.Arches, arch) ||
				f.MinKernel != nil && older(f.MinKernel) {
				continue
			}
		}
		if f := call.Includes; f != nil {
			missing := slices.ContainsFunc(f.Caps, func(c string) bool {
				return !slices.Contains(capabilities, c)
			})
			if missing || len(f.Arches) > 0 && !slices.Contains(f.Arches, arch) ||
				f.MinKernel != nil && !older(f.MinKernel) {
				continue
			}
		}
		out.Syscalls = append(out.Syscalls, call.LinuxSyscall)
	}
	return &out
}

func main() {
	spec := &specs.Spec{Process: &specs.Process{
		Capabilities: &specs.LinuxCapabilities{Bounding: capabilities}}}
	theirs, err := seccomp.GetDefaultProfile(spec)
	if err != nil {
		log.Fatal(err)
	}
	if !reflect.DeepEqual(resolve(runtime.GOARCH).Syscalls, theirs.Syscalls) {
		log.Fatal("resolve() no longer does what the module does")
	}
	err = json.NewEncoder(os.Stdout).Encode(map[string]*specs.LinuxSeccomp{
		"amd64": resolve("amd64"), "arm64": resolve("arm64")})
	if err != nil {
		log.Fatal(err)
	}
}
