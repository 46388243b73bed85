package main

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
)

func loginCommand() *cobra.Command {
	var given bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Log in with GitHub, and store the token for other commands",
		Long: "Log in with GitHub to a server: the command shows a code to enter at GitHub, waits, and\n" +
			"stores the token in a file that only you can read. Commands use it for this server unless\n" +
			"they are given another one.\n\n" +
			"With --profile the server gets a name, under which the file keeps its URL, its\n" +
			"certificates (--ca-file) and the token. A server without login with GitHub gets a profile\n" +
			"too: with a token that an administrator has made (--with-token), or with the path of a\n" +
			"file in which commands find one (--token-file).",
		Example: "  octostore login --url https://locks.example.com\n" +
			"  octostore login --profile prod --url https://locks.example.com\n" +
			"  octostore login --profile prod --url https://locks.example.com --with-token < token",
		Args: cobra.NoArgs,
	}
	server := serverFlags(cmd)
	cmd.Flags().BoolVar(&given, "with-token", false, "store the token on the standard input instead of logging in with GitHub")
	cmd.MarkFlagsMutuallyExclusive("with-token", "token-file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, told := cmd.Context(), cmd.ErrOrStderr()
		switch {
		case given:
			const most = 64 << 10
			token, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), most))
			if err != nil {
				return fmt.Errorf("read the token: %w", err)
			}
			return server.LogInWith(ctx, told, string(token))
		case server.TokenFile != "":
			return server.LogInFrom(ctx, told)
		}
		return server.LogIn(ctx, told)
	}
	return cmd
}

func logoutCommand() *cobra.Command {
	var local bool
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Revoke the token of octostore login, and delete it",
		Long: "Revoke the token that octostore login has stored for a server, and delete it from this\n" +
			"machine. A profile stays, without its token. Leases acquired with the token stay until\n" +
			"they end.",
		Args: cobra.NoArgs,
	}
	server := serverFlags(cmd)
	cmd.Flags().BoolVar(&local, "local", false, "only delete the stored token, without asking the server")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return server.LogOut(cmd.Context(), cmd.ErrOrStderr(), local)
	}
	return cmd
}

func profileCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "profile",
		Short: "List, choose and remove the servers that octostore login has stored",
		Long: "List, choose and remove profiles: servers under a name, which octostore login --profile\n" +
			"stores. A command asks the server of --url or --profile, or else that of OCTOSTORE_URL, of\n" +
			"OCTOSTORE_PROFILE, or of the profile in use.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(profileListCommand(), profileUseCommand(), profileRemoveCommand())
	return cmd
}

func profileListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the profiles, without their tokens",
		Long:  "List the profiles, without their tokens. A star marks the one in use.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			profiles, err := session.Profiles()
			if err != nil {
				return err
			}
			if asJSON {
				return text.JSON(cmd.OutOrStdout(), map[string]any{"profiles": profiles})
			}
			return printProfiles(cmd.OutOrStdout(), profiles)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printProfiles(w io.Writer, profiles []session.NamedProfile) error {
	if len(profiles) == 0 {
		_, err := fmt.Fprintln(w, "No profiles; octostore login --profile NAME --url URL makes one.")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "IN USE\tNAME\tURL\tACCOUNT\tTOKEN\tCA FILE\n")
	for _, p := range profiles {
		star := ""
		if p.InUse {
			star = "*"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", star, p.Name, p.URL, cmp.Or(p.Account, "-"), p.TokenState(), cmp.Or(p.CAFile, "-"))
	}
	return table.Flush()
}

func profileUseCommand() *cobra.Command {
	var none bool
	cmd := &cobra.Command{
		Use:   "use NAME",
		Short: "Choose the profile of commands that name no server",
		Args: func(_ *cobra.Command, args []string) error {
			if none && len(args) == 0 || !none && len(args) == 1 {
				return nil
			}
			return exitcode.Usagef("want one argument, the name of a profile, or --none")
		},
		ValidArgsFunction: completeProfiles,
		RunE: func(_ *cobra.Command, args []string) error {
			if none {
				return session.UseProfile("")
			}
			return session.UseProfile(args[0])
		},
	}
	cmd.Flags().BoolVar(&none, "none", false, "use no profile")
	return cmd
}

func profileRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a profile from this machine",
		Long: "Remove a profile, and the token in it, from this machine. The token stays valid;\n" +
			"octostore logout --profile NAME revokes it.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exitcode.Usagef("want one argument, the name of a profile")
			}
			return nil
		},
		ValidArgsFunction: completeProfiles,
		RunE:              func(_ *cobra.Command, args []string) error { return session.RemoveProfile(args[0]) },
	}
}
