// SPDX-License-Identifier: Apache-2.0

//go:build !nri_0_8

package main

import (
	"fmt"

	"github.com/containerd/nri/pkg/api"
)

func adjustArgs(mode string, ctr *api.Container, a *api.ContainerAdjustment) error {
	switch mode {
	case "set-args":
		a.SetArgs(append([]string{"/bin/wrapper"}, ctr.GetArgs()...))
	case "update-args": // takes the arguments over from whoever set them
		a.UpdateArgs([]string{"/bin/evil"})
	case "wrap-args": // likewise, but runs what was there
		a.UpdateArgs(append([]string{"/bin/wrapper"}, ctr.GetArgs()...))
	case "seccomp":
		a.SetLinuxSeccompPolicy(&api.LinuxSeccomp{DefaultAction: "SCMP_ACT_ALLOW"})
	default:
		return fmt.Errorf("unknown mode %s", mode)
	}
	return nil
}

func adjustedArgs(a *api.ContainerAdjustment) []string { return a.GetArgs() }

func setArgs(a *api.ContainerAdjustment, args []string) { a.SetArgs(args) }
