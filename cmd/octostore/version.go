package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker in builds made with make.
var version = "dev"

// sqliteModule holds the SQLite this binary is built with.
const sqliteModule = "modernc.org/sqlite"

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
					"version": ownVersion(), "go": runtime.Version(), "sqlite": moduleVersion(sqliteModule),
				})
			}
			_, err := io.WriteString(out, versionText())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// versionText is the version for people.
func versionText() string {
	return fmt.Sprintf("octostore %s\n%s\n%s %s\n", ownVersion(), runtime.Version(), sqliteModule, moduleVersion(sqliteModule))
}

// ownVersion returns what the linker was told, or else what `go install` knows.
func ownVersion() string {
	info, known := debug.ReadBuildInfo()
	if version == "dev" && known && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}

// moduleVersion returns the version of a module this binary is built with, empty if
// it is not.
func moduleVersion(path string) string {
	info, known := debug.ReadBuildInfo()
	if !known {
		return ""
	}
	for _, module := range info.Deps {
		if module.Path == path {
			return module.Version
		}
	}
	return ""
}
