// Command nri-runtime is the runtime side of NRI, as containerd embeds it, driven from standard input.
//
// It accepts plugins on a socket, synchronizes each with a given number of pods, then performs one command per
// input line and prints one result per output line, both JSON. The tests of the NRI client build and drive it, once
// with each version of NRI whose wire differs: versions/*.mod; go.mod is the newest.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/containerd/nri/pkg/adaptation"
	"github.com/containerd/nri/pkg/api"
)

type command struct {
	Op        string          `json:"op"`
	Pod       *api.PodSandbox `json:"pod"`
	Container *api.Container  `json:"container"`
	Repeat    int             `json:"repeat"`
}

type result struct {
	Op           string                   `json:"op"`
	Error        string                   `json:"error"`
	Microseconds float64                  `json:"microseconds"` // mean of one call
	Adjust       *api.ContainerAdjustment `json:"adjust,omitempty"`
}

func main() {
	socket := flag.String("socket", "", "path of the socket to listen on")
	timeout := flag.Duration("request-timeout", 2*time.Second, "time a plugin has for an answer")
	pods := flag.Int("pods", 0, "pods to synchronize plugins with")
	size := flag.Int("annotation", 0, "bytes of annotation on each of these pods")
	flag.Parse()
	if err := run(*socket, *timeout, manyPods(*pods, *size)); err != nil {
		fmt.Fprintln(os.Stderr, "cannot run the NRI runtime:", err)
		os.Exit(1)
	}
}

func run(socket string, timeout time.Duration, pods []*api.PodSandbox) error {
	adaptation.SetPluginRequestTimeout(timeout)
	synchronized := make(chan error, 16)
	runtime, err := start(socket, pods, synchronized)
	if err != nil {
		return err
	}
	defer runtime.Stop()
	return serve(runtime, synchronized)
}

func start(socket string, pods []*api.PodSandbox, synchronized chan<- error) (*adaptation.Adaptation, error) {
	synchronize := func(ctx context.Context, plugin adaptation.SyncCB) error {
		_, err := plugin(ctx, pods, nil)
		synchronized <- err
		return err
	}
	update := func(context.Context, []*api.ContainerUpdate) ([]*api.ContainerUpdate, error) { return nil, nil }
	runtime, err := adaptation.New("nri-runtime", "v1", synchronize, update,
		adaptation.WithSocketPath(socket),
		adaptation.WithPluginPath(socket+".plugins"),
		adaptation.WithPluginConfigPath(socket+".conf"))
	if err != nil {
		return nil, err
	}
	return runtime, runtime.Start()
}

func serve(runtime *adaptation.Adaptation, synchronized <-chan error) error {
	preinstalled(synchronized)
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var cmd command
		if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
			return err
		}
		if err := out.Encode(perform(runtime, synchronized, cmd)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func perform(runtime *adaptation.Adaptation, synchronized <-chan error, cmd command) result {
	res := result{Op: cmd.Op}
	count := max(cmd.Repeat, 1)
	begin := time.Now()
	for range count {
		adjust, err := one(runtime, synchronized, cmd)
		res.Adjust = adjust
		if err != nil {
			res.Error = err.Error()
			break
		}
	}
	res.Microseconds = float64(time.Since(begin).Nanoseconds()) / 1000 / float64(count)
	return res
}

func one(runtime *adaptation.Adaptation, synchronized <-chan error, cmd command) (*api.ContainerAdjustment, error) {
	ctx := context.Background()
	switch cmd.Op {
	case "AwaitPlugin":
		return nil, awaitPlugin(runtime, synchronized)
	case "RunPodSandbox":
		return nil, runtime.RunPodSandbox(ctx, &api.RunPodSandboxRequest{Pod: cmd.Pod})
	case "StopPodSandbox":
		return nil, runtime.StopPodSandbox(ctx, &api.StopPodSandboxRequest{Pod: cmd.Pod})
	case "RemovePodSandbox":
		return nil, runtime.RemovePodSandbox(ctx, &api.RemovePodSandboxRequest{Pod: cmd.Pod})
	case "CreateContainer":
		res, err := runtime.CreateContainer(ctx, &api.CreateContainerRequest{Pod: cmd.Pod, Container: cmd.Container})
		return res.GetAdjust(), err
	}
	return nil, fmt.Errorf("cannot perform %q: unknown command", cmd.Op)
}

// awaitPlugin returns once the next plugin takes events.
func awaitPlugin(runtime *adaptation.Adaptation, synchronized <-chan error) error {
	if err := <-synchronized; err != nil {
		return err
	}
	registered(runtime)
	return nil
}

func manyPods(count, size int) []*api.PodSandbox {
	pods := make([]*api.PodSandbox, count)
	for i := range pods {
		name := fmt.Sprintf("pod-%d", i)
		text := map[string]string{"text": strings.Repeat("x", size)}
		pods[i] = &api.PodSandbox{Id: name, Name: name, Uid: name, Namespace: "many", Annotations: text}
	}
	return pods
}
