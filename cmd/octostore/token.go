package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/offline"
	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Create, list, rotate and revoke tokens",
		Long: "Create, list, rotate and revoke tokens.\n\n" +
			"If --url, --profile, OCTOSTORE_URL or OCTOSTORE_PROFILE is set, the commands ask that\n" +
			"server, with a token that has the scope admin. Otherwise they change the database\n" +
			"(OCTOSTORE_DB), or the table in etcd (OCTOSTORE_STORE=etcd), directly, while no server\n" +
			"serves it; the profile in use does not count.",
		Args: cobra.NoArgs,
	}
	envFile := cmd.PersistentFlags().String("env-file", "", "read settings from `FILE` (default .env, if it exists)")
	cmd.AddCommand(
		tokenCreateCommand(envFile),
		tokenListCommand(envFile),
		tokenRevokeCommand(envFile),
		tokenRotateCommand(envFile),
		tokenSecretCommand(),
	)
	return cmd
}

// tokenKeeper is where tokens are changed: a server, or a database.
type tokenKeeper interface {
	Tokens(ctx context.Context) ([]api.Token, error)
	CreateToken(ctx context.Context, t client.TokenSpec) (api.NewToken, error)
	RotateToken(ctx context.Context, id string, grace time.Duration) (api.NewToken, error)
	RevokeToken(ctx context.Context, id string) (api.Token, error)
}

// withTokens runs f on the server that a flag or the environment names, or else on the
// store, which is made if there is none and mayMake says so.
func withTokens(cmd *cobra.Command, server *session.Server, envFile string, mayMake bool, f func(tokenKeeper) error) error {
	if server.Named() {
		c, err := server.NewClient()
		if err != nil {
			return err
		}
		return f(c)
	}
	loaded, err := loadConfig(envFile)
	warnUnknown(cmd.ErrOrStderr(), loaded)
	if err != nil {
		return err
	}
	store, err := openOffline(cmd, loaded.Config, mayMake)
	if err != nil {
		return err
	}
	tokens, err := offline.Open(cmd.Context(), store)
	if err != nil {
		return err
	}
	return errors.Join(f(tokens), tokens.Close())
}

// openOffline opens the store of these settings, which no server serves.
func openOffline(cmd *cobra.Command, cfg config.Config, mayMake bool) (offline.Store, error) {
	if cfg.Store == config.Etcd {
		return openTerm(cmd, cfg)
	}
	path := string(cfg.DB)
	missing := needDatabase(path)
	switch {
	case missing == nil:
		sayDatabase(cmd.ErrOrStderr(), path)
	case !errors.Is(missing, errNoDatabase) || !mayMake:
		return nil, fmt.Errorf("%w, OCTOSTORE_URL where a server is%s", missing, howToMake(cmd))
	}
	store, err := offline.File(cmd.Context(), path)
	if err == nil && missing != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "octostore: made the database %s\n", absolute(path))
	}
	return store, err
}

// openTerm takes the term of the table in etcd. The table of a new cluster is made with that.
func openTerm(cmd *cobra.Command, cfg config.Config) (offline.Store, error) {
	c, err := preflight.EtcdConfig(cfg)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "octostore: the table is below %s in etcd at %s\n", c.Prefix, cfg.EtcdEndpoints)
	return offline.Etcd(cmd.Context(), c)
}

// howToMake names the flag of a command that may make a database.
func howToMake(cmd *cobra.Command) string {
	if cmd.Flags().Lookup("create") == nil {
		return ""
	}
	return "; --create makes a new one there"
}

func tokenCreateCommand(envFile *string) *cobra.Command {
	var wish client.TokenSpec
	var scopes []string
	var admin, asJSON, mayMake bool
	var expires string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create a token, and show it once",
		Long: "Create a token, and show it once. Each --scope grants permissions: verbs (acquire, read,\n" +
			"break, audit) with patterns of lock names, or policies, or admin. Without a\n" +
			"server the command changes the database, and prints its path; --create creates a new one.",
		Example: "  octostore token create --admin --create\n" +
			"  octostore token create --account ci --scope 'acquire,read:team-a/**' --expires 90d",
		Args: cobra.NoArgs,
	}
	server := serverFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&wish.Account, "account", "", "the `ACCOUNT` of the token (default with --admin: admin)")
	flags.StringArrayVar(&scopes, "scope", nil, "grant `SCOPE`, such as 'acquire,read:team-a/**'; may be repeated")
	flags.BoolVar(&admin, "admin", false, "grant all permissions, creating tokens included")
	flags.StringVar(&expires, "expires", "", "expire after `DURATION`, such as 90d (default never)")
	flags.StringVar(&wish.Name, "name", "", "a `TEXT` that says what the token is for")
	flags.BoolVar(&mayMake, "create", false, "create the database if it does not exist")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if admin {
			scopes = append(scopes, string(auth.Admin))
			if wish.Account == "" {
				wish.Account = "admin"
			}
		}
		switch wish.Scopes = strings.Join(scopes, " "); {
		case len(scopes) == 0:
			return exitcode.Usagef("the token has no permissions; want --scope 'acquire,read:team-a/**' or the like, or --admin")
		case wish.Account == "":
			return exitcode.Usagef("want --account, the account of the token")
		}
		if expires != "" {
			if wish.Expires, err = config.ParseDuration(expires); err != nil || wish.Expires == 0 {
				return exitcode.Usagef("--expires is %q; want a time such as 90d or 12h", expires)
			}
		}
		if !server.Named() { // before a database is made
			if _, err := auth.ParseScopes(wish.Scopes); err != nil {
				return exitcode.As(exitcode.Usage, err)
			}
		}
		return withTokens(cmd, server, *envFile, mayMake, func(k tokenKeeper) error {
			t, err := k.CreateToken(cmd.Context(), wish)
			if err != nil {
				return err
			}
			return printNewToken(cmd, t, asJSON)
		})
	}
	return cmd
}

// printNewToken prints the token alone on the standard output, for scripts; what it is
// goes beside it.
func printNewToken(cmd *cobra.Command, t api.NewToken, asJSON bool) error {
	if asJSON {
		return text.JSON(cmd.OutOrStdout(), t)
	}
	until := "does not expire"
	if t.ExpiresAt != nil {
		until = "expires " + t.ExpiresAt.Format(time.RFC3339)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "token %s of account %s: %s; %s\nThis is the only time it is shown:\n", t.ID, t.Account, t.Scopes, until)
	_, err := fmt.Fprintln(cmd.OutOrStdout(), t.Secret)
	return err
}

func tokenListCommand(envFile *string) *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tokens",
		Args:  cobra.NoArgs,
	}
	server := serverFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withTokens(cmd, server, *envFile, false, func(k tokenKeeper) error {
			tokens, err := k.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			return text.Tokens(cmd.OutOrStdout(), tokens, all, asJSON, time.Now())
		})
	}
	cmd.Flags().BoolVar(&all, "all", false, "also list revoked and expired tokens, until the server deletes them")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func tokenRevokeCommand(envFile *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke a token",
		Long:  "Revoke a token, at once. Leases acquired with it stay until they end.",
		Args:  oneTokenID,
	}
	server := serverFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withTokens(cmd, server, *envFile, false, func(k tokenKeeper) error {
			t, err := k.RevokeToken(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "revoked token %s of account %s\n", t.ID, t.Account)
			return err
		})
	}
	return cmd
}

func tokenRotateCommand(envFile *string) *cobra.Command {
	var asJSON bool
	var grace string
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Replace a token, and show the new one once",
		Long: "Replace a token with a new one of the same account and scopes, and show the new one once.\n" +
			"The old token is revoked at once, or stays valid for --grace, so that the new one can be\n" +
			"distributed.",
		Args: oneTokenID,
	}
	server := serverFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&grace, "grace", "", "keep the old token valid for `DURATION`, at most 30d (default 0s)")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		var patience time.Duration
		if grace != "" {
			if patience, err = config.ParseDuration(grace); err != nil {
				return exitcode.Usagef("--grace is %q; want a time such as 1h", grace)
			}
		}
		return withTokens(cmd, server, *envFile, false, func(k tokenKeeper) error {
			t, err := k.RotateToken(cmd.Context(), args[0], patience)
			if err != nil {
				return err
			}
			return printNewToken(cmd, t, asJSON)
		})
	}
	return cmd
}

func oneTokenID(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return exitcode.Usagef("want one argument, the id of a token; octostore token list shows them")
	}
	return nil
}

func tokenSecretCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "secret",
		Short: "Generate a secret for a tokens file",
		Long:  "Generate a secret for a line of the file that OCTOSTORE_TOKENS_FILE names. It is not stored.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), auth.NewSecret())
			return err
		},
	}
}
