package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
)

// said is what a command said, and its exit code.
type said struct {
	code     exitcode.Code
	out, err string
}

func runCommand(t *testing.T, args ...string) said {
	t.Helper()
	var out, errs bytes.Buffer
	code := execute(t.Context(), args, strings.NewReader(""), &out, &errs)
	return said{exitcode.Code(code), out.String(), errs.String()}
}

// eachCommand calls f with every command there is, hidden ones too, and the words that
// call it.
func eachCommand(f func(cmd *cobra.Command, words []string)) {
	var visit func(cmd *cobra.Command, words []string)
	visit = func(cmd *cobra.Command, words []string) {
		f(cmd, words)
		for _, sub := range cmd.Commands() {
			visit(sub, append(words[:len(words):len(words)], sub.Name()))
		}
	}
	visit(rootCommand(), nil)
}

// refused wants a command line to be refused before anything is done.
func refused(t *testing.T, want string, words ...string) {
	t.Helper()
	got := runCommand(t, words...)
	if got.code != exitcode.Usage || got.out != "" || !strings.Contains(got.err, want) {
		t.Errorf("octostore %s: exit %d, %q, %q; want %d and %q", strings.Join(words, " "), got.code, got.out, got.err, exitcode.Usage, want)
	}
}

// No command takes a word or a flag it does not know for nothing, and reports success.
func TestCommandsRefuseWordsTheyDoNotKnow(t *testing.T) {
	visited := 0
	eachCommand(func(cmd *cobra.Command, words []string) {
		visited++
		with := func(more ...string) []string { return append(words[:len(words):len(words)], more...) }
		if cmd.Args == nil {
			t.Errorf("%s takes any words", cmd.CommandPath())
		}
		refused(t, "unknown flag: --no-such-flag", with("--no-such-flag")...)
		if !cmd.HasSubCommands() {
			if cmd.Args(cmd, []string{"xyzzy"}) != nil {
				refused(t, "", with("xyzzy")...)
			}
			return
		}
		refused(t, cmd.CommandPath()+" --help", with("xyzzy")...)
		for _, sub := range cmd.Commands() {
			if name := sub.Name(); sub.IsAvailableCommand() {
				mistyped := name[:1] + name[2:]
				refused(t, fmt.Sprintf("unknown command %q", mistyped), with(mistyped)...)
				refused(t, name, with(mistyped)...)
			}
		}
	})
	refused(t, `did you mean verify?`, "audit", "verfy")
	refused(t, `did you mean revoke?`, "token", "revok", "ID")
	refused(t, `did you mean test?`, "policy", "tset")
	refused(t, `did you mean verify?`, "help", "audit", "verfy")
	if visited < 40 {
		t.Errorf("only %d commands were visited", visited)
	}
}

func TestHelpAndVersionSucceed(t *testing.T) {
	for _, words := range [][]string{nil, {"--help"}, {"help"}, {"help", "audit"}, {"audit"}, {"audit", "--help"}, {"--version"}} {
		if got := runCommand(t, words...); got.code != exitcode.OK || got.out == "" || got.err != "" {
			t.Errorf("octostore %s: %+v", strings.Join(words, " "), got)
		}
	}
	if flag, command := runCommand(t, "--version"), runCommand(t, "version"); flag.out != command.out {
		t.Errorf("--version says %q, version says %q", flag.out, command.out)
	}
}

// The table in the help and that of the documents are the one in the code.
func TestExitCodesAreListed(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	help := runCommand(t, "--help").out
	for _, r := range exitcode.Table() {
		if row := fmt.Sprintf("| %d | %s | %s |\n", r.Code, r.Name, r.Meaning); !strings.Contains(string(page), row) {
			t.Errorf("docs/operations.md has not the row %q", row)
		}
		if line := fmt.Sprintf("  %3d  %-14s  %s\n", r.Code, r.Name, r.Meaning); !strings.Contains(help, line) {
			t.Errorf("the help has not the line %q", line)
		}
	}
	rows := 0
	for _, start := range []string{"| 6", "| 7", "| 12"} {
		rows += strings.Count(string(page), "\n"+start)
	}
	if rows != len(exitcode.Table())-2 {
		t.Errorf("docs/operations.md has %d codes above 1", rows)
	}
	if topic := runCommand(t, "help", "exit-codes"); topic.code != exitcode.OK || topic.out != exitcode.Help() || !strings.Contains(help, exitcode.Help()) {
		t.Errorf("octostore help exit-codes prints\n%+v\nwant\n%s", topic, exitcode.Help())
	}
}

func TestCleaningPassesWhatProgramsReadAsItIs(t *testing.T) {
	var out bytes.Buffer
	w := terminal.NewWriter(&out)
	fmt.Fprint(terminal.Exact(w), "\x1b\u202e")
	fmt.Fprint(terminal.Exact(terminal.NewWriter(fakeTerminal{&out})), "x")
	fmt.Fprint(w, "\x1b")
	if got := out.String(); got != "\x1b\u202ex"+`\u001b` {
		t.Errorf("%q", got)
	}
	out.Reset()
	fmt.Fprint(terminal.Exact(terminal.NewWriter(fakeTerminal{&out})), "\x1b")
	if got := out.String(); got != `\u001b` {
		t.Errorf("on a terminal: %q", got)
	}
}

// fakeTerminal is a writer that says it is a terminal.
type fakeTerminal struct{ io.Writer }

func (fakeTerminal) IsTerminal() bool { return true }
