// SPDX-License-Identifier: Apache-2.0

//go:build !nri_0_8

package main

import (
	"encoding/json"

	"github.com/containerd/nri/pkg/adaptation"
	validator "github.com/containerd/nri/plugins/default-validator/builtin"
)

// The validator that runtimes bring along; keys are Go's field names.
func validatorOption(settings map[string]any) ([]adaptation.Option, error) {
	if settings == nil {
		return nil, nil
	}
	cfg := &validator.DefaultValidatorConfig{}
	text, err := json.Marshal(settings)
	if err == nil {
		err = json.Unmarshal(text, cfg)
	}
	return []adaptation.Option{adaptation.WithDefaultValidator(cfg)}, err
}
