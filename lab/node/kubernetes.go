package main

import (
	"context"

	"k8s.io/component-base/cli"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

func init() {
	programs["kubelet"] = func() int { return cli.Run(kubelet.NewKubeletCommand(context.Background())) }
	programs["kube-proxy"] = func() int { return cli.Run(proxy.NewProxyCommand()) }
}
