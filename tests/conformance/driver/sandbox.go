// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/nri/pkg/api"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// nono-nri's job in Go, with the stub: its answer, its state files, its log.  What the answer consists of is
// read from a file, so that it is the same.
type sandbox struct {
	answer *api.ContainerAdjustment // with the arguments of the prefix only
	prefix []string
	state  string
	log    *json.Encoder
}

func newSandbox(answer, state string) (*sandbox, error) {
	text, err := os.ReadFile(answer)
	if err != nil {
		return nil, err
	}
	s := &sandbox{answer: &api.ContainerAdjustment{}, state: state, log: json.NewEncoder(os.Stdout)}
	if err := protojson.Unmarshal(text, s.answer); err != nil {
		return nil, err
	}
	if args := adjustedArgs(s.answer); len(args) > 5 {
		s.prefix = args[:5]
	}
	return s, nil
}

func (s *sandbox) say(what string, pod *api.PodSandbox, ctr *api.Container) error {
	return s.log.Encode(map[string]string{"time": time.Now().Format(time.RFC3339), "level": "info", "msg": what, "container_id": ctr.GetId(),
		"container": ctr.GetName(), "namespace": pod.GetNamespace(), "pod": pod.GetName(), "runtime_handler": pod.GetRuntimeHandler()})
}

func (s *sandbox) CreateContainer(_ context.Context, pod *api.PodSandbox, ctr *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	if pod.GetRuntimeHandler() != "nono-runc" {
		return nil, nil, nil
	}
	a := proto.Clone(s.answer).(*api.ContainerAdjustment)
	setArgs(a, append(append([]string{}, s.prefix...), ctr.GetArgs()...))
	folder := filepath.Join(s.state, pod.GetUid(), ctr.GetId())
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, nil, err
	}
	text, err := json.Marshal(map[string]string{"container_id": ctr.GetId(), "pod": pod.GetName(), "namespace": pod.GetNamespace(),
		"profile": "default", "timestamp": time.Now().Format(time.RFC3339)})
	if err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "metadata.json"), text, 0o600); err != nil {
		return nil, nil, err
	}
	return a, nil, s.say("injected", pod, ctr)
}

func (s *sandbox) StopContainer(_ context.Context, pod *api.PodSandbox, ctr *api.Container) ([]*api.ContainerUpdate, error) {
	if pod.GetRuntimeHandler() != "nono-runc" {
		return nil, nil
	}
	return nil, s.say("container-stopping", pod, ctr)
}

func (s *sandbox) RemoveContainer(_ context.Context, pod *api.PodSandbox, ctr *api.Container) error {
	if pod.GetRuntimeHandler() != "nono-runc" {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(s.state, pod.GetUid())); err != nil {
		return err
	}
	return s.say("container-removed", pod, ctr)
}
