// SPDX-License-Identifier: Apache-2.0

// deviceplugin RESOURCE DEVICE...: a kubelet's device plugin (API v1beta1) that hands out RESOURCE, of which there are
// four. Who asks for one gets every DEVICE: a path of the node, "HOST:CONTAINER" for another path in the container,
// or the name of a CDI device, "vendor.com/class=name". Prints "registered" when the kubelet knows it.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

type plugin struct {
	api.UnimplementedDevicePluginServer
	given []string
}

func (p *plugin) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{}, nil
}

func (p *plugin) ListAndWatch(_ *api.Empty, stream api.DevicePlugin_ListAndWatchServer) error {
	var all []*api.Device
	for i := range 4 {
		all = append(all, &api.Device{ID: fmt.Sprint("d", i), Health: api.Healthy})
	}
	if err := stream.Send(&api.ListAndWatchResponse{Devices: all}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

func (p *plugin) Allocate(_ context.Context, request *api.AllocateRequest) (*api.AllocateResponse, error) {
	response := &api.AllocateResponse{}
	for range request.ContainerRequests {
		given := &api.ContainerAllocateResponse{}
		for _, d := range p.given {
			if !strings.HasPrefix(d, "/") {
				given.CdiDevices = append(given.CdiDevices, &api.CDIDevice{Name: d})
				continue
			}
			host, container, other := strings.Cut(d, ":")
			if !other {
				container = host
			}
			given.Devices = append(given.Devices, &api.DeviceSpec{HostPath: host, ContainerPath: container, Permissions: "rw"})
		}
		response.ContainerResponses = append(response.ContainerResponses, given)
	}
	return response, nil
}

func run(resource string, given []string) error {
	socket := strings.ReplaceAll(resource, "/", "-") + ".sock"
	_ = os.Remove(api.DevicePluginPath + socket)
	listener, err := net.Listen("unix", api.DevicePluginPath+socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	api.RegisterDevicePluginServer(server, &plugin{given: given})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	kubelet, err := grpc.NewClient("unix://"+api.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	_, err = api.NewRegistrationClient(kubelet).Register(context.Background(), &api.RegisterRequest{
		Version: api.Version, Endpoint: socket, ResourceName: resource})
	if err != nil {
		return err
	}
	fmt.Println("registered")
	return <-ended
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: deviceplugin RESOURCE DEVICE...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "deviceplugin:", err)
		os.Exit(1)
	}
}
