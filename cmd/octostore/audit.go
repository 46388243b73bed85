package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/client"
)

const defaultURLHelp = client.DefaultURL + " if it is not set"

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Export, follow, verify, replay and search the audit log",
		Long: "Export, follow, verify, replay and search the audit log.\n\n" +
			"export, tail and leases ask the server at OCTOSTORE_URL (" + defaultURLHelp + ");\n" +
			"leases can read exports and a database, too. verify and replay need nothing but files.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(auditExportCommand(), auditTailCommand(), auditVerifyCommand(), auditReplayCommand(), auditLeasesCommand(), auditKeyCommand())
	return cmd
}

func auditKeyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the public key that exports of this database are signed with",
		Long: "Print the public key that exports of this database (OCTOSTORE_DB) are signed with. Keep\n" +
			"it somewhere else, and pass it to octostore audit verify --key: whoever can read the\n" +
			"database can sign with its key, and whoever can write an export can make another.",
		Args: cobra.NoArgs,
	}
	envFile := envFileFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		loaded, err := loadConfig(*envFile)
		warnUnknown(cmd.ErrOrStderr(), loaded)
		if err != nil {
			return err
		}
		if err := needDatabase(string(loaded.DB)); err != nil {
			return err
		}
		sayDatabase(cmd.ErrOrStderr(), string(loaded.DB))
		in, err := sqlite.Inspect(cmd.Context(), string(loaded.DB), 0, nil)
		if err != nil {
			return err // it names the file
		}
		if in.Key == nil {
			return fmt.Errorf("%s has no key yet: it is of an older version, and a start of octostore serve makes one", loaded.DB)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), record.FormatKey(in.Key))
		return err
	}
	return cmd
}

func auditVerifyCommand() *cobra.Command {
	var pinned string
	cmd := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Check that nothing in an export was changed, dropped, inserted or moved",
		Long: "Check that nothing in an export was changed, dropped, inserted or moved, and say how far\n" +
			"signatures vouch for it. It needs no server. Several files are to continue each other,\n" +
			"in this order; they may be compressed with gzip. - is the standard input.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			key, err := pinnedKey(pinned)
			if err != nil {
				return err
			}
			v := verify.NewVerifier(key)
			if err := tampered(verifyFiles(cmd.InOrStdin(), v, files)); err != nil {
				if d := v.Result(); d.Records > 0 {
					fmt.Fprint(cmd.ErrOrStderr(), goodUpTo(d))
				}
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), verdictText(v.Result(), key != nil))
			return err
		},
	}
	cmd.Flags().StringVar(&pinned, "key", "", "the public `key` all signatures have to be by, as octostore audit key prints it")
	return cmd
}

func pinnedKey(text string) (ed25519.PublicKey, error) {
	if text == "" {
		return nil, nil
	}
	key, err := record.ParseKey(text)
	if err != nil {
		return nil, exitcode.Usagef("--key: %w", err)
	}
	return key, nil
}

// tampered gives an error about what is in an export the exit code for that.
func tampered(err error) error {
	if _, is := errors.AsType[*verify.Fault](err); is {
		return exitcode.As(exitcode.Tampered, err)
	}
	return err
}

// verifyFiles verifies files one after the other. Its errors name the file.
func verifyFiles(stdin io.Reader, v *verify.Verifier, files []string) error {
	for _, name := range files {
		if err := verifyFile(stdin, v, name); err != nil {
			if _, isPath := errors.AsType[*os.PathError](err); isPath {
				return err // it names the file
			}
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func verifyFile(stdin io.Reader, v *verify.Verifier, name string) error {
	if name == "-" {
		return v.Verify(stdin)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return v.Verify(f)
}

// goodUpTo says what can be said of what comes before a fault.
func goodUpTo(d verify.Result) string {
	good := fmt.Sprintf("%s, up to %d, follow from each other. ", text.Count(d.Records, "record"), d.Last)
	if d.Vouched == 0 {
		return good + "No signature vouches for them.\n"
	}
	return good + fmt.Sprintf("Signatures vouch for %s, up to %d.\n", text.Count(d.Signed, "of them"), d.Vouched)
}

func verdictText(d verify.Result, pinned bool) string {
	var b strings.Builder
	if d.Records == 0 {
		fmt.Fprintf(&b, "verified: no records after %s.\n", d.After)
	} else {
		fmt.Fprintf(&b, "verified: %s, from %d to %d. None was changed, dropped, inserted or moved.\n",
			text.Count(d.Records, "record"), d.First, d.Last)
	}
	fmt.Fprintf(&b, "Signatures by %s vouch for all of it.\n", record.FormatKey(d.Key))
	if !pinned {
		b.WriteString("The file itself names that key. Compare it with what octostore audit key printed, or give that with --key.\n")
	}
	switch {
	case d.Complete:
		b.WriteString("Nothing is missing before it, except what a record says was pruned.\n")
	case d.Records > 0:
		fmt.Fprintf(&b, "It begins after %s; the files before it tell what was before.\n", d.After)
	}
	fmt.Fprintf(&b, "The last export was made at %s.\n", d.Made.Format(time.RFC3339))
	if d.More {
		b.WriteString("The journal went on when it was made.\n")
	}
	return b.String()
}
