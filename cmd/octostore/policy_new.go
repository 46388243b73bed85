package main

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/policytool"
	"github.com/octostore/octostore/plugins"
)

func policyNewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new NAME",
		Short: "Create a policy in Go, in a new folder",
		Long: "Create a policy in Go, in the new folder NAME: code, tests, fixtures, and the SDK it is\n" +
			"built with. It needs the Go toolchain and no network.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if err := policytool.New(name, name, plugins.SDK); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is a policy that wants a ticket. Make it yours, and build and test it:\n  cd %s && make%s\n", name, name, namingItself())
			return err
		},
	}
}

// namingItself is what make has to be told where octostore is not to be found by its
// name.
func namingItself() string {
	if _, err := exec.LookPath("octostore"); err == nil {
		return ""
	}
	binary, err := os.Executable()
	if err != nil {
		return ""
	}
	return " OCTOSTORE=" + binary
}
