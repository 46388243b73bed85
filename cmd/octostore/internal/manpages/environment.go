package manpages

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
)

type variable struct{ name, meaning string }

// clientVariables say which server a command asks, and with which token.
var clientVariables = []variable{
	{"OCTOSTORE_URL", "URL of the server that commands ask; http://127.0.0.1:3000 if nothing sets it"},
	{"OCTOSTORE_TOKEN", "token for that server"},
	{"OCTOSTORE_TOKEN_FILE", "file with the token, which only its user can read"},
	{"OCTOSTORE_CA_FILE", "file of certificates in PEM to trust besides those of the system"},
	{"OCTOSTORE_PROFILE", "profile with the URL and the token of a server"},
	{"OCTOSTORE_TIMEOUT", "time a request may take, besides the time it asks the server to wait"},
}

// environment returns the variables that a command reads: those of a client, or the settings
// of a server.
func environment(cmd *cobra.Command) (rows []variable) {
	if !cmd.HasParent() || asksServer(cmd) {
		rows = append(rows, clientVariables...)
	}
	switch {
	case cmd.CommandPath() == "octostore serve":
		for _, s := range config.Settings() {
			meaning := s.Doc
			if s.Default != "" {
				meaning += " (default " + s.Default + ")"
			}
			rows = append(rows, variable{s.Name, meaning})
		}
	case cmd.Flag("env-file") != nil:
		rows = append(rows, variable{"OCTOSTORE_*", "the settings of a server, which octostore-serve(1) lists"})
	}
	return rows
}

func asksServer(cmd *cobra.Command) bool {
	return cmd.Flag("token-file") != nil || strings.Contains(cmd.Long, "OCTOSTORE_URL")
}
