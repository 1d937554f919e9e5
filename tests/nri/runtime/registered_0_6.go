//go:build nri_0_6

package main

import (
	"time"

	"github.com/containerd/nri/pkg/adaptation"
)

// preinstalled returns at once: this version synchronizes such plugins never.
func preinstalled(<-chan error) {}

// registered gives the runtime time for its next line, which adds the plugin: this version shows no sign of it.
func registered(*adaptation.Adaptation) { time.Sleep(50 * time.Millisecond) }
