// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/stub"
)

// Another plugin on the node, made with the Go stub; what it does is its mode.
type foreign struct {
	mode string
}

func (f *foreign) CreateContainer(_ context.Context, _ *api.PodSandbox, ctr *api.Container) (*api.ContainerAdjustment, []*api.ContainerUpdate, error) {
	a := &api.ContainerAdjustment{}
	switch f.mode {
	case "logger":
		fmt.Println("create", ctr.GetName(), ctr.GetArgs())
	case "env":
		a.AddEnv("FOREIGN", "1")
	case "mount":
		a.AddMount(&api.Mount{Destination: "/data", Type: "bind", Source: "/tmp", Options: []string{"rbind", "ro"}})
	case "mount-nono":
		a.RemoveMount("/nono")
		a.AddMount(&api.Mount{Destination: "/nono", Type: "bind", Source: "/tmp", Options: []string{"rbind"}})
	case "fail":
		return nil, nil, errors.New("foreign plugin says no")
	default:
		if err := adjustArgs(f.mode, ctr, a); err != nil {
			return nil, nil, err
		}
	}
	return a, nil, nil
}

func plugin(arguments []string) error {
	if len(arguments) < 4 {
		return errors.New("usage: driver plugin MODE NAME INDEX SOCKET [ANSWER STATE]")
	}
	var job any = &foreign{mode: arguments[0]}
	var err error
	if arguments[0] == "sandbox" {
		if job, err = newSandbox(arguments[4], arguments[5]); err != nil {
			return err
		}
	}
	connection, err := stub.New(job, stub.WithPluginName(arguments[1]), stub.WithPluginIdx(arguments[2]),
		stub.WithSocketPath(arguments[3]))
	if err != nil {
		return err
	}
	return connection.Run(context.Background())
}
