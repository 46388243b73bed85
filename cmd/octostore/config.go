package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
)

func configCommand() *cobra.Command {
	var asJSON, markdown, example bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the settings in effect and where each comes from",
		Long: "Show the settings in effect and where each comes from: the environment, a .env\n" +
			"file, or the default. All invalid settings are reported at once. octostore doctor\n" +
			"checks whether a server can start with them.",
		Args: cobra.NoArgs,
	}
	envFile := envFileFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print a Markdown table of all settings instead")
	cmd.Flags().BoolVar(&example, "example", false, "print a .env file with all defaults instead")
	cmd.MarkFlagsMutuallyExclusive("json", "markdown", "example")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		out := cmd.OutOrStdout()
		if markdown {
			_, err := io.WriteString(out, config.Markdown())
			return err
		}
		if example {
			_, err := io.WriteString(out, config.Example())
			return err
		}
		loaded, err := loadConfig(*envFile)
		warnUnknown(cmd.ErrOrStderr(), loaded)
		if err != nil {
			return err
		}
		if asJSON {
			return printSettingsJSON(out, loaded)
		}
		return printSettings(out, loaded)
	}
	return cmd
}

// envFileFlag gives a command that reads the configuration its --env-file.
func envFileFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("env-file", "", "read settings from `FILE` (default .env, if it exists)")
}

func loadConfig(envFile string) (config.Loaded, error) {
	return config.Load(config.Sources{Environ: os.Environ(), EnvFile: envFile})
}

func warnUnknown(w io.Writer, loaded config.Loaded) {
	for _, u := range loaded.Unknown {
		fmt.Fprintf(w, "octostore: warning: %s (%s) is not a setting\n", u.Name, u.Source)
	}
}

func printSettings(w io.Writer, loaded config.Loaded) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range loaded.Values {
		fmt.Fprintf(table, "%s\t%s\t%s\n", v.Name, v.Text, v.Source)
	}
	return table.Flush()
}

func printSettingsJSON(w io.Writer, loaded config.Loaded) error {
	type setting struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		Source  string `json:"source"`
		Default string `json:"default"`
	}
	var all []setting
	for _, v := range loaded.Values {
		all = append(all, setting{v.Name, v.Text, v.Source, v.Default})
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(map[string]any{"settings": all})
}
