package main

import (
	"encoding/json"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/version"
)

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version of octostore and what it is built with",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			if asJSON {
				return json.NewEncoder(out).Encode(map[string]string{
					"version": version.Own(), "go": runtime.Version(), "sqlite": version.SQLite(),
				})
			}
			_, err := io.WriteString(out, version.Text())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
