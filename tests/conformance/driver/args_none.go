// SPDX-License-Identifier: Apache-2.0

//go:build nri_0_8

package main

import (
	"fmt"

	"github.com/containerd/nri/pkg/api"
)

// NRI 0.8 cannot adjust arguments.
func adjustArgs(mode string, _ *api.Container, _ *api.ContainerAdjustment) error {
	return fmt.Errorf("unknown mode %s", mode)
}

func adjustedArgs(*api.ContainerAdjustment) []string { return nil }

func setArgs(*api.ContainerAdjustment, []string) {}
