// SPDX-License-Identifier: Apache-2.0

//go:build nri_statechange

package main

import (
	"context"
	"fmt"

	"github.com/containerd/nri/pkg/adaptation"
)

// NRI < 0.12 tells most events as state changes.
func (r *runtime) event(name string, pod *adaptation.PodSandbox, ctr *adaptation.Container) error {
	ctx := context.Background()
	evt := &adaptation.StateChangeEvent{Pod: pod, Container: ctr}
	switch name {
	case "RUN_POD_SANDBOX":
		evt.Container = nil
		return r.nri.RunPodSandbox(ctx, evt)
	case "STOP_POD_SANDBOX":
		evt.Container = nil
		return r.nri.StopPodSandbox(ctx, evt)
	case "REMOVE_POD_SANDBOX":
		evt.Container = nil
		return r.nri.RemovePodSandbox(ctx, evt)
	case "POST_CREATE_CONTAINER":
		return r.nri.PostCreateContainer(ctx, evt)
	case "START_CONTAINER":
		return r.nri.StartContainer(ctx, evt)
	case "POST_START_CONTAINER":
		return r.nri.PostStartContainer(ctx, evt)
	case "POST_UPDATE_CONTAINER":
		return r.nri.PostUpdateContainer(ctx, evt)
	case "REMOVE_CONTAINER":
		return r.nri.RemoveContainer(ctx, evt)
	}
	return fmt.Errorf("unknown event %s", name)
}
