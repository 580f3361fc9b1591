// SPDX-License-Identifier: Apache-2.0

//go:build !nri_statechange

package main

import (
	"context"
	"fmt"

	"github.com/containerd/nri/pkg/adaptation"
)

// NRI >= 0.12 has a call for each event.
func (r *runtime) event(name string, pod *adaptation.PodSandbox, ctr *adaptation.Container) error {
	ctx := context.Background()
	switch name {
	case "RUN_POD_SANDBOX":
		return r.nri.RunPodSandbox(ctx, &adaptation.RunPodSandboxRequest{Pod: pod})
	case "STOP_POD_SANDBOX":
		return r.nri.StopPodSandbox(ctx, &adaptation.StopPodSandboxRequest{Pod: pod})
	case "REMOVE_POD_SANDBOX":
		return r.nri.RemovePodSandbox(ctx, &adaptation.RemovePodSandboxRequest{Pod: pod})
	case "POST_CREATE_CONTAINER":
		return r.nri.PostCreateContainer(ctx, &adaptation.PostCreateContainerRequest{Pod: pod, Container: ctr})
	case "START_CONTAINER":
		return r.nri.StartContainer(ctx, &adaptation.StartContainerRequest{Pod: pod, Container: ctr})
	case "POST_START_CONTAINER":
		return r.nri.PostStartContainer(ctx, &adaptation.PostStartContainerRequest{Pod: pod, Container: ctr})
	case "POST_UPDATE_CONTAINER":
		return r.nri.PostUpdateContainer(ctx, &adaptation.PostUpdateContainerRequest{Pod: pod, Container: ctr})
	case "REMOVE_CONTAINER":
		return r.nri.RemoveContainer(ctx, &adaptation.RemoveContainerRequest{Pod: pod, Container: ctr})
	}
	return fmt.Errorf("unknown event %s", name)
}
