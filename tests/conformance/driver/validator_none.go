// SPDX-License-Identifier: Apache-2.0

//go:build nri_0_8

package main

import (
	"errors"

	"github.com/containerd/nri/pkg/adaptation"
)

func validatorOption(settings map[string]any) ([]adaptation.Option, error) {
	if settings != nil {
		return nil, errors.New("NRI 0.8 has no validators")
	}
	return nil, nil
}
