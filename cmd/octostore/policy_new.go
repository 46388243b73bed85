package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/policytool/scaffold"
	"github.com/octostore/octostore/plugins"
	policyexamples "github.com/octostore/octostore/sdk-examples/policies"
)

func policyNewCommand() *cobra.Command {
	var lang string
	languages := strings.Join(scaffold.Languages(), ", ")
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Create a policy in a new folder",
		Long: "Create a policy in the new folder NAME: source, Makefile, fixtures, and a README that\n" +
			"names the needed tools. In Go, the default, the folder also has tests and the SDK, so\n" +
			"that it needs the Go toolchain and no network. --lang chooses another language.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(scaffold.Languages(), lang) {
				return exitcode.Usagef("--lang: is %q; want %s", lang, languages)
			}
			name := args[0]
			if err := scaffold.New(name, name, lang, scaffold.Sources{SDK: plugins.SDK, Examples: policyexamples.Examples}); err != nil {
				return err
			}
			_, err := fmt.Fprintf(
				cmd.OutOrStdout(),
				"%s is a policy that wants a ticket. Make it yours, and build and test it:\n  cd %s && make%s\n",
				name,
				name,
				namingItself(),
			)
			return err
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "go", "`LANGUAGE` of the policy: "+languages)
	return cmd
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
