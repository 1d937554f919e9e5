// Command podnet-cni is a CNI plugin that hands every call to the KNI server of its node.
//
// It is the second hook: container runtimes run it where they would run the cluster's own plugins. It decides
// nothing. The server answers over a unix socket (HTTP, one request for each call), attaches, and runs the cluster's
// own plugins where the default network is theirs. A server that does not answer makes the runtime try again later:
// no Pod starts without its networks. Standard library only, so that it is one static file on any node.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Error codes of the CNI specification 1.1.0.
const (
	codeEnvironment  = 4
	codeIO           = 5
	codeDecoding     = 6
	codeTryLater     = 11
	codeNotAvailable = 50
)

const (
	defaultSocket = "/run/kni/cni.sock"
	timeout       = 100 * time.Second
	answerLimit   = 4 << 20
)

var versions = []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// cniError is an error as the specification has it.
type cniError struct {
	Version string `json:"cniVersion"`
	Code    int    `json:"code"`
	Message string `json:"msg"`
	Details string `json:"details,omitempty"`
}

// call is what the server gets: the whole environment of the plugin.
type call struct {
	Command   string          `json:"command"`
	Container string          `json:"containerID"`
	Netns     string          `json:"netns"`
	Interface string          `json:"ifName"`
	Args      string          `json:"args"`
	Config    json.RawMessage `json:"config"`
}

// settings are the keys of the configuration that are for us.
type settings struct {
	Version string `json:"cniVersion"`
	Socket  string `json:"socket"`
}

func main() {
	os.Exit(run(os.Getenv, os.Stdin, os.Stdout))
}

// run is the plugin; it returns the exit status.
func run(env func(string) string, in io.Reader, out io.Writer) int {
	config, err := io.ReadAll(in)
	if err != nil {
		return fail(out, "", codeIO, "cannot read the configuration", err)
	}
	given := settings{Socket: defaultSocket}
	if err := json.Unmarshal(config, &given); err != nil {
		return fail(out, "", codeDecoding, "cannot read the configuration", err)
	}
	command := env("CNI_COMMAND")
	switch command {
	case "VERSION":
		return answer(out, map[string]any{"cniVersion": given.Version, "supportedVersions": versions})
	case "ADD", "DEL", "CHECK", "STATUS", "GC":
	default:
		return fail(out, given.Version, codeEnvironment, fmt.Sprintf("cannot carry out CNI_COMMAND %q", command), nil)
	}
	return ask(out, given, call{
		Command:   command,
		Container: env("CNI_CONTAINERID"),
		Netns:     env("CNI_NETNS"),
		Interface: env("CNI_IFNAME"),
		Args:      env("CNI_ARGS"),
		Config:    config,
	})
}

// ask hands the call to the server and its answer to the runtime.
func ask(out io.Writer, given settings, made call) int {
	absent := codeTryLater
	if made.Command == "STATUS" {
		absent = codeNotAvailable
	}
	body, err := json.Marshal(made)
	if err != nil {
		return fail(out, given.Version, codeDecoding, "cannot write the call", err)
	}
	response, err := client(given.Socket).Post("http://kni/cni", "application/json", bytes.NewReader(body))
	if err != nil {
		return fail(out, given.Version, absent, "cannot reach the KNI server of this node", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return fail(out, given.Version, absent, "cannot read the answer of the KNI server", err)
	}
	if response.StatusCode == http.StatusOK {
		_, err = out.Write(text)
		return status(err)
	}
	refused := cniError{}
	if err := json.Unmarshal(text, &refused); err != nil || refused.Code == 0 {
		return fail(out, given.Version, absent, "cannot understand the KNI server", fmt.Errorf("status %s", response.Status))
	}
	refused.Version = given.Version
	answer(out, refused)
	return 1
}

func client(socket string) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
}

func fail(out io.Writer, version string, code int, message string, cause error) int {
	made := cniError{Version: version, Code: code, Message: message}
	if cause != nil {
		made.Details = cause.Error()
	}
	answer(out, made)
	return 1
}

func answer(out io.Writer, what any) int {
	return status(json.NewEncoder(out).Encode(what))
}

func status(err error) int {
	if err != nil {
		return 1
	}
	return 0
}
