//go:build !nri_0_6

package main

import "github.com/containerd/nri/pkg/adaptation"

// preinstalled waits for the synchronization of plugins that were there before: there are none.
func preinstalled(synchronized <-chan error) { <-synchronized }

// registered returns once a plugin that has been synchronized takes events: only then is the lock free.
func registered(runtime *adaptation.Adaptation) { runtime.BlockPluginSync().Unblock() }
