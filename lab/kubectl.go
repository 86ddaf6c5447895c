package main

import (
	_ "k8s.io/client-go/plugin/pkg/client/auth" // cloud credentials in a person's kubeconfig
	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func init() { programs["kubectl"] = kubectl }

func kubectl() int {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err) // prints and exits with the code that belongs to err
	}
	return 0
}
