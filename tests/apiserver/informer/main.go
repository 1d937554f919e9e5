// Shared informers of client-go, for test_proxy_clients.py: `informer KUBECONFIG NAMESPACE`.
//
// Prints a line for each event that handlers of a dynamic informer and of a typed one see, and a line when both have
// synced. Then it reads a Pod by the typed client and writes it back with a label, as controllers do.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

func say(parts ...any) {
	line, err := json.Marshal(parts)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func raw(kind string, object any) {
	if pod, ok := object.(*unstructured.Unstructured); ok {
		listed, _, _ := unstructured.NestedSlice(pod.Object, "spec", "networks")
		say("dynamic", kind, pod.GetName(), listed)
	}
}

func typed(kind string, object any) {
	if pod, ok := object.(*corev1.Pod); ok {
		say("typed", kind, pod.Name, pod.Annotations["multinetwork.x-k8s.io/networks"])
	}
}

func handlers(tell func(string, any)) cache.ResourceEventHandlerFuncs {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { tell("added", object) },
		UpdateFunc: func(_, object any) { tell("changed", object) },
		DeleteFunc: func(object any) { tell("deleted", object) },
	}
}

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	check(err)
	namespace, ctx := os.Args[2], context.Background()
	untyped, err := dynamic.NewForConfig(config)
	check(err)
	clients, err := kubernetes.NewForConfig(config)
	check(err)

	pods := schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	first := dynamicinformer.NewFilteredDynamicSharedInformerFactory(untyped, 0, namespace, nil).ForResource(pods).Informer()
	second := informers.NewSharedInformerFactoryWithOptions(clients, 0, informers.WithNamespace(namespace)).Core().V1().Pods().Informer()
	_, err = first.AddEventHandler(handlers(raw))
	check(err)
	_, err = second.AddEventHandler(handlers(typed))
	check(err)
	go first.Run(ctx.Done())
	go second.Run(ctx.Done())
	cache.WaitForCacheSync(ctx.Done(), first.HasSynced, second.HasSynced)
	say("synced")

	pod, err := clients.CoreV1().Pods(namespace).Get(ctx, "first", metav1.GetOptions{})
	check(err)
	pod.Labels = map[string]string{"by": "client-go"}
	_, err = clients.CoreV1().Pods(namespace).Update(ctx, pod, metav1.UpdateOptions{})
	check(err)
	say("updated")
	select {}
}
