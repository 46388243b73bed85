package main

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/transport/client"
)

// strict makes a command and all below it refuse words and flags they do not know.
// A command that only groups others would print its help for any word, and report
// success. An error before a command has begun is a mistake in the command line.
func strict(cmd *cobra.Command) {
	if cmd.HasSubCommands() {
		cmd.Args = noWord
	}
	if cmd.HasSubCommands() && cmd.RunE == nil {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if err := run(cmd, args); err != nil {
				return &begunError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

// begunError is an error of a command that had begun.
type begunError struct{ error }

func (e *begunError) Unwrap() error { return e.error }

// noWord refuses words behind a command that only groups others.
func noWord(cmd *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	return unknownCommand(cmd, words[0])
}

// unknownCommand names what may have been meant.
func unknownCommand(cmd *cobra.Command, word string) error {
	cmd.SuggestionsMinimumDistance = 2
	likely := cmd.SuggestionsFor(word)
	if len(likely) == 0 {
		return exitcode.Usagef("unknown command %q for %q; %s --help lists those there are", word, cmd.CommandPath(), cmd.CommandPath())
	}
	return exitcode.Usagef("unknown command %q for %q; did you mean %s?", word, cmd.CommandPath(), strings.Join(likely, " or "))
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND | exit-codes]",
		Short: "Show help for any command, or the exit codes of all",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, words []string) error {
			if len(words) == 1 && words[0] == "exit-codes" {
				_, err := io.WriteString(cmd.OutOrStdout(), exitcode.Help())
				return err
			}
			about, rest, err := cmd.Root().Find(words)
			if err != nil {
				return exitcode.As(exitcode.Usage, err)
			}
			if len(rest) > 0 {
				return unknownCommand(about, rest[0])
			}
			return about.Help()
		},
	}
}

// codeOf returns what to exit with after an error. An error that carries a code knows better
// than the answer of the server it was made of.
func codeOf(err error) exitcode.Code {
	var begun *begunError
	switch {
	case err == nil:
		return exitcode.OK
	case !errors.As(err, &begun):
		return exitcode.Usage
	}
	if _, is := errors.AsType[*exitcode.Error](err); is {
		return exitcode.Of(err)
	}
	if _, is := errors.AsType[*client.UnreachableError](err); is {
		return exitcode.Unavailable
	}
	if answered, is := errors.AsType[*client.Error](err); is {
		return exitcode.OfAnswer(answered.Status, answered.Code)
	}
	if errors.Is(err, client.ErrInvalid) { // said by the client itself
		return exitcode.Usage
	}
	return exitcode.Of(err)
}
