// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"google.golang.org/protobuf/proto"
)

// What a runtime asks for one pod with one container, from first to last, and how long that and its CreateContainer took.
// The container that is started is the one that the plugins made of it.
func (r *runtime) life(pod *adaptation.PodSandbox, ctr *adaptation.Container) (created, all time.Duration, err error) {
	ctx := context.Background()
	request := createRequest(pod, ctr)
	begin := time.Now()
	if err = r.event("RUN_POD_SANDBOX", pod, nil); err != nil {
		return
	}
	before := time.Now()
	rpl, err := r.nri.CreateContainer(ctx, request)
	if err != nil {
		return
	}
	created = time.Since(before)
	if args := adjustedArgs(rpl.GetAdjust()); len(args) > 0 {
		ctr.Args = args
	}
	ctr.Mounts = append(ctr.Mounts, rpl.GetAdjust().GetMounts()...)
	for _, event := range []string{"POST_CREATE_CONTAINER", "START_CONTAINER", "POST_START_CONTAINER"} {
		if err = r.event(event, pod, ctr); err != nil {
			return
		}
	}
	if _, err = r.nri.UpdateContainer(ctx, updateRequest(pod, ctr)); err != nil {
		return
	}
	if err = r.event("POST_UPDATE_CONTAINER", pod, ctr); err != nil {
		return
	}
	if _, err = r.nri.StopContainer(ctx, stopRequest(pod, ctr)); err != nil {
		return
	}
	if err = r.event("REMOVE_CONTAINER", pod, ctr); err != nil {
		return
	}
	for _, event := range []string{"STOP_POD_SANDBOX", "REMOVE_POD_SANDBOX"} {
		if err = r.event(event, pod, nil); err != nil {
			return
		}
	}
	return created, time.Since(begin), nil
}

// Each life is another pod's and container's.
func (r *runtime) manyLives(c *command) (*answer, error) {
	pod, ctr, err := c.messages()
	if err != nil {
		return nil, err
	}
	a := &answer{Size: proto.Size(createRequest(pod, ctr))}
	for range c.Lives {
		r.lives++
		p, k := proto.Clone(pod).(*adaptation.PodSandbox), proto.Clone(ctr).(*adaptation.Container)
		p.Id, p.Uid = fmt.Sprintf("%064d", r.lives), fmt.Sprintf("0f0e0d0c-0000-4000-8000-%012d", r.lives)
		k.Id, k.PodSandboxId = fmt.Sprintf("c%063d", r.lives), p.Id
		created, all, err := r.life(p, k)
		if err != nil {
			return nil, err
		}
		a.NS, a.LifeNS = append(a.NS, created.Nanoseconds()), append(a.LifeNS, all.Nanoseconds())
	}
	return a, nil
}
