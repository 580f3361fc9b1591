// SPDX-License-Identifier: Apache-2.0

package main

import "github.com/containerd/nri/pkg/adaptation"

func createRequest(pod *adaptation.PodSandbox, ctr *adaptation.Container) *adaptation.CreateContainerRequest {
	return &adaptation.CreateContainerRequest{Pod: pod, Container: ctr}
}

func updateRequest(pod *adaptation.PodSandbox, ctr *adaptation.Container) *adaptation.UpdateContainerRequest {
	return &adaptation.UpdateContainerRequest{Pod: pod, Container: ctr}
}

func stopRequest(pod *adaptation.PodSandbox, ctr *adaptation.Container) *adaptation.StopContainerRequest {
	return &adaptation.StopContainerRequest{Pod: pod, Container: ctr}
}
