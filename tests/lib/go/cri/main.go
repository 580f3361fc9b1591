// SPDX-License-Identifier: Apache-2.0

// cri SOCKET: a CRI client for tests.  Reads one JSON request a line from stdin,
//
//	{"id": 1, "method": "RuntimeService/RunPodSandbox", "timeout": 30, "request": {...}}
//
// sends it (requests run concurrently) and prints one line for each as it ends:
//
//	{"id": 1, "ms": 12.3, "response": {...}}   or   {"id": 1, "ms": 12.3, "error": "..."}
//
// Requests and responses are the protobuf JSON of k8s.io/cri-api.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	_ "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type request struct {
	ID      int             `json:"id"`
	Method  string          `json:"method"`
	Timeout float64         `json:"timeout"`
	Request json.RawMessage `json:"request"`
}

type answer struct {
	ID       int             `json:"id"`
	Ms       float64         `json:"ms"`
	Response json.RawMessage `json:"response,omitempty"`
	Error    string          `json:"error,omitempty"`
}

func call(conn *grpc.ClientConn, r request) (json.RawMessage, error) {
	service, name, _ := strings.Cut(r.Method, "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("runtime.v1." + service))
	if err != nil {
		return nil, err
	}
	method := d.(protoreflect.ServiceDescriptor).Methods().ByName(protoreflect.Name(name))
	if method == nil {
		return nil, fmt.Errorf("no method %s", r.Method)
	}
	in, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err != nil {
		return nil, err
	}
	out, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
	if err != nil {
		return nil, err
	}
	req, resp := in.New().Interface(), out.New().Interface()
	if err := protojson.Unmarshal(r.Request, req); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.Timeout*float64(time.Second)))
	defer cancel()
	if err := conn.Invoke(ctx, "/runtime.v1."+r.Method, req, resp); err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(resp)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: cri SOCKET")
		os.Exit(2)
	}
	conn, err := grpc.NewClient("unix://"+os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// Requests wait for a containerd that restarts, and find it at once.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1, MaxDelay: 20 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var printing sync.Mutex
	var running sync.WaitGroup
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		running.Add(1)
		go func() {
			defer running.Done()
			start := time.Now()
			response, err := call(conn, r)
			a := answer{ID: r.ID, Ms: float64(time.Since(start).Microseconds()) / 1000, Response: response}
			if s, ok := status.FromError(err); err != nil && ok {
				a.Error = s.Code().String() + ": " + s.Message()
			} else if err != nil {
				a.Error = err.Error()
			}
			text, _ := json.Marshal(a)
			printing.Lock()
			defer printing.Unlock()
			os.Stdout.Write(append(text, '\n'))
		}()
	}
	running.Wait()
}
