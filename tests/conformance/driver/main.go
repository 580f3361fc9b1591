// SPDX-License-Identifier: Apache-2.0

// Command driver is a container runtime without containers: the real NRI adaptation package,
// told what to do by one JSON object a line on stdin and answering each with one on stdout.
// "driver plugin MODE SOCKET" is a plugin of the real stub package instead (plugin.go).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/runtime-tools/generate"
	rspec "github.com/opencontainers/runtime-spec/specs-go"
	rgen "github.com/opencontainers/runtime-tools/generate"
	"github.com/sirupsen/logrus"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type command struct {
	Op string

	// start
	Socket, PluginPath, ConfigPath  string
	Runtime, Version                string
	RegistrationMS, RequestMS       int
	Validator                       map[string]any
	Pods, Containers, ContainerSize int // what Synchronize tells

	// create, validate, update, stop, event, spec
	Event     string
	Pod       json.RawMessage
	Container json.RawMessage
	Spec      json.RawMessage
	Repeat    int

	// lives: the CRI's requests for so many pods, one after the other
	Lives int

	// wait
	Synced  int
	Timeout float64
}

type answer struct {
	Error    string          `json:"error,omitempty"`
	Adjust   json.RawMessage `json:"adjust,omitempty"`
	Updates  int             `json:"updates,omitempty"`
	Spec     *rspec.Spec     `json:"spec,omitempty"`
	Synced   int             `json:"synced,omitempty"`
	Failures []string        `json:"failures,omitempty"`
	NS       []int64         `json:"ns,omitempty"`
	LifeNS   []int64         `json:"life_ns,omitempty"`
	Size     int             `json:"size,omitempty"`
}

type runtime struct {
	nri      *adaptation.Adaptation
	command  *command
	synced   atomic.Int32
	failures []string
	syncNS   []int64
	lives    int
}

func (r *runtime) synchronize(ctx context.Context, cb adaptation.SyncCB) error {
	var pods []*adaptation.PodSandbox
	var containers []*adaptation.Container
	for i := 0; i < r.command.Pods; i++ {
		pods = append(pods, &adaptation.PodSandbox{
			Id: fmt.Sprintf("pod%d", i), Name: fmt.Sprintf("pod-%d", i), Uid: fmt.Sprintf("uid-%d", i),
			Namespace: "default", RuntimeHandler: "nono-runc",
		})
	}
	for i := 0; i < r.command.Containers; i++ {
		containers = append(containers, &adaptation.Container{
			Id: fmt.Sprintf("ctr%d", i), PodSandboxId: fmt.Sprintf("pod%d", i%max(1, r.command.Pods)),
			Name: "main", State: adaptation.ContainerState_CONTAINER_RUNNING,
			Args: []string{"/nono/nono", "wrap", "--profile", "default", "--", "sleep",
				strings.Repeat("x", r.command.ContainerSize)},
		})
	}
	begin := time.Now()
	_, err := cb(ctx, pods, containers)
	if err != nil {
		r.failures = append(r.failures, err.Error())
		return err
	}
	r.syncNS = append(r.syncNS, time.Since(begin).Nanoseconds())
	r.synced.Add(1)
	return nil
}

func (r *runtime) start(c *command) error {
	r.command = c
	r.synced.Store(-1) // the adaptation synchronizes plugins of its own first, even if there are none
	if c.RegistrationMS > 0 {
		adaptation.SetPluginRegistrationTimeout(time.Duration(c.RegistrationMS) * time.Millisecond)
	}
	if c.RequestMS > 0 {
		adaptation.SetPluginRequestTimeout(time.Duration(c.RequestMS) * time.Millisecond)
	}
	opts := []adaptation.Option{
		adaptation.WithSocketPath(c.Socket),
		adaptation.WithPluginPath(c.PluginPath),
		adaptation.WithPluginConfigPath(c.ConfigPath),
	}
	validator, err := validatorOption(c.Validator)
	if err != nil {
		return err
	}
	opts = append(opts, validator...)
	update := func(context.Context, []*adaptation.ContainerUpdate) ([]*adaptation.ContainerUpdate, error) {
		return nil, nil
	}
	r.nri, err = adaptation.New(c.Runtime, c.Version, r.synchronize, update, opts...)
	if err != nil {
		return err
	}
	return r.nri.Start()
}

func (r *runtime) wait(c *command) error {
	deadline := time.Now().Add(time.Duration(c.Timeout * float64(time.Second)))
	for int(r.synced.Load()) < c.Synced {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d plugins synchronized, not %d", r.synced.Load(), c.Synced)
		}
		time.Sleep(200 * time.Microsecond)
	}
	// The plugin counts only once it is in the list; this waits for that.
	r.nri.BlockPluginSync().Unblock()
	return nil
}

func (c *command) messages() (*adaptation.PodSandbox, *adaptation.Container, error) {
	pod, ctr := &adaptation.PodSandbox{}, &adaptation.Container{}
	if err := unmarshal(c.Pod, pod); err != nil {
		return nil, nil, err
	}
	return pod, ctr, unmarshal(c.Container, ctr)
}

func unmarshal(data json.RawMessage, m proto.Message) error {
	if len(data) == 0 {
		return nil
	}
	return protojson.Unmarshal(data, m)
}

func (r *runtime) create(c *command) (*answer, error) {
	pod, ctr, err := c.messages()
	if err != nil {
		return nil, err
	}
	req := createRequest(pod, ctr)
	a := &answer{}
	var rpl *adaptation.CreateContainerResponse
	for i := 0; i < max(1, c.Repeat); i++ {
		begin := time.Now()
		rpl, err = r.nri.CreateContainer(context.Background(), req)
		a.NS = append(a.NS, time.Since(begin).Nanoseconds())
		if err != nil {
			return nil, err
		}
	}
	if c.Repeat == 0 {
		a.NS = nil
	}
	a.Updates = len(rpl.GetUpdate())
	if a.Adjust, err = protojson.Marshal(rpl.GetAdjust()); err != nil {
		return nil, err
	}
	if len(c.Spec) > 0 {
		a.Spec = &rspec.Spec{}
		if err := json.Unmarshal(c.Spec, a.Spec); err != nil {
			return nil, err
		}
		if err := generate.SpecGenerator(&rgen.Generator{Config: a.Spec}).Adjust(rpl.GetAdjust()); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (r *runtime) run(c *command) (*answer, error) {
	if c.Op != "start" && c.Op != "wait" && r.nri != nil {
		defer r.nri.BlockPluginSync().Unblock()
	}
	switch c.Op {
	case "start":
		return &answer{}, r.start(c)
	case "wait":
		return &answer{}, r.wait(c)
	case "halt":
		r.nri.Stop()
		r.nri = nil
		return &answer{}, nil
	case "status":
		return &answer{Synced: int(r.synced.Load()), Failures: r.failures, NS: r.syncNS}, nil
	case "create":
		return r.create(c)
	case "lives":
		return r.manyLives(c)
	}
	pod, ctr, err := c.messages()
	if err != nil {
		return nil, err
	}
	switch c.Op {
	case "update":
		_, err = r.nri.UpdateContainer(context.Background(), updateRequest(pod, ctr))
	case "stop":
		_, err = r.nri.StopContainer(context.Background(), stopRequest(pod, ctr))
	case "event":
		err = r.event(c.Event, pod, ctr)
	default:
		err = errors.New("unknown op " + c.Op)
	}
	return &answer{}, err
}

func main() {
	logrus.SetOutput(io.Discard)
	if len(os.Args) > 1 {
		if err := plugin(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	r := &runtime{}
	in, out := bufio.NewReaderSize(os.Stdin, 1<<24), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		c := &command{}
		a := &answer{}
		if err = json.Unmarshal(line, c); err == nil {
			a, err = r.run(c)
		}
		if err != nil {
			a = &answer{Error: err.Error()}
		}
		if err := out.Encode(a); err != nil {
			return
		}
	}
}
