package main

import (
	// Only what the names of a cluster's Services need.
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"

	"github.com/coredns/coredns/coremain"
)

func init() { programs["cluster-dns"] = clusterDNS }

func clusterDNS() int {
	coremain.Run()
	return 0
}
