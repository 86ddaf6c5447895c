package main

import (
	"os"

	_ "k8s.io/client-go/plugin/pkg/client/auth" // cloud credentials in a person's kubeconfig
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

// kubectl reads -v by itself first, since plugins and .kuberc run before cobra parses flags.
func kubectl() int {
	_, _ = logs.GlogSetter(cmd.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err) // prints and exits with the code that belongs to err
	}
	return 0
}
