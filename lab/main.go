// Command lab is every program that a throw-away Kubernetes cluster needs, in one binary.
//
// The name it is called by (a symbolic link), else its first argument, chooses the program, as in
// busybox. One binary is linked once instead of seven times, and its parts always fit each other.
//
// An older Kubernetes (the folders v1.*) is built from kubernetes.go, kubectl.go and this file alone.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// programs maps the name of each program to its entry point; an entry point returns the exit code.
// Every other file adds its own.
var programs = map[string]func() int{}

func main() {
	name := filepath.Base(os.Args[0])
	if _, known := programs[name]; !known && len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = os.Args[1:]
	}
	run, known := programs[name]
	if !known {
		names := make([]string, 0, len(programs))
		for each := range programs {
			names = append(names, each)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "lab: no program %q\nhint: one of %s\n", name, strings.Join(names, ", "))
		os.Exit(2)
	}
	os.Exit(run())
}
