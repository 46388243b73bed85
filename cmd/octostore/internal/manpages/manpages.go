// Package manpages writes the manual pages of all commands from their definitions: what help
// shows, with the exit codes and the environment variables. octostore is built without it;
// make man is built with it.
package manpages

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/version"
)

// Write writes a page for a command and every command below it that help shows, as
// octostore-audit-verify.1 and so on. The folder is created if it does not exist. The same
// commands and version give the same bytes.
func Write(root *cobra.Command, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, Name(root)+".1"), page(root), 0o644); err != nil {
		return err
	}
	for _, cmd := range visible(root) {
		if err := Write(cmd, folder); err != nil {
			return err
		}
	}
	return nil
}

// Name returns the name of a command's page.
func Name(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// visible returns the commands below one that have pages.
func visible(cmd *cobra.Command) (found []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && !sub.IsAdditionalHelpTopicCommand() {
			found = append(found, sub)
		}
	}
	return found
}

// page returns the page of one command.
func page(cmd *cobra.Command) []byte {
	cmd.InitDefaultHelpFlag()
	var r roff
	r.title(Name(cmd), "octostore "+version.Own())
	r.section("NAME")
	r.line(text(Name(cmd)) + ` \- ` + text(cmd.Short))
	r.section("SYNOPSIS")
	words, _ := strings.CutPrefix(cmd.UseLine(), cmd.CommandPath())
	r.line(bold(cmd.CommandPath()) + text(words))
	r.section("DESCRIPTION")
	r.prose(description(cmd))
	if subs := visible(cmd); len(subs) > 0 {
		r.section("COMMANDS")
		for _, sub := range subs {
			r.item(bold(Name(sub))+"(1)", sub.Short)
		}
	}
	r.options("OPTIONS", cmd.NonInheritedFlags())
	r.options("GLOBAL OPTIONS", cmd.InheritedFlags())
	if cmd.HasExample() {
		r.section("EXAMPLES")
		r.literal(cmd.Example)
	}
	if rows := environment(cmd); len(rows) > 0 {
		r.section("ENVIRONMENT")
		for _, row := range rows {
			r.item(bold(row.name), row.meaning)
		}
	}
	r.section("EXIT STATUS")
	for _, row := range exitcode.Table() {
		r.item(bold(fmt.Sprint(int(row.Code))), row.Meaning)
	}
	r.line(".PP")
	r.line(text(strings.ReplaceAll(exitcode.OfCommand, "\n", " ")))
	r.section("SEE ALSO")
	r.line(seeAlso(cmd))
	return r.Bytes()
}

// description returns the long text of a command. That of the root ends in the exit codes,
// which have a section of their own.
func description(cmd *cobra.Command) string {
	about := cmd.Long
	if about == "" {
		about = cmd.Short + "."
	}
	return strings.TrimSpace(strings.ReplaceAll(about, exitcode.Help(), ""))
}

func seeAlso(cmd *cobra.Command) string {
	var others []string
	if cmd.HasParent() {
		others = append(others, bold(Name(cmd.Parent()))+"(1)")
		for _, sibling := range visible(cmd.Parent()) {
			if sibling != cmd && cmd.Parent().HasParent() {
				others = append(others, bold(Name(sibling))+"(1)")
			}
		}
	}
	for _, sub := range visible(cmd) {
		others = append(others, bold(Name(sub))+"(1)")
	}
	return strings.Join(others, ",\n")
}

// options writes a section of flags, without those that help hides.
func (r *roff) options(title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	r.section(title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		placeholder, usage := pflag.UnquoteUsage(f)
		term := bold("--" + f.Name)
		if f.Shorthand != "" {
			term = bold("-"+f.Shorthand) + ", " + term
		}
		if placeholder != "" {
			term += " " + italic(placeholder)
		}
		r.item(term, usage+unsaidDefault(f, usage))
	})
}

// unsaidDefault returns the default of a flag, as help shows it, if the usage does not say it.
func unsaidDefault(f *pflag.Flag, usage string) string {
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
		return ""
	}
	if strings.Contains(usage, "(default") {
		return ""
	}
	return " (default " + f.DefValue + ")"
}
