// Package exitcode is the one table of the exit codes of all commands. Numbers are those of
// sysexits.h where it has one for the purpose.
package exitcode

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Code is the exit code of a command.
type Code int

// The codes. Scripts rely on the numbers: none ever changes its meaning.
const (
	OK          Code = 0
	Failed      Code = 1
	Usage       Code = 64
	Tampered    Code = 65
	Missing     Code = 66
	Unavailable Code = 69
	Held        Code = 75
	Denied      Code = 77
	Lost        Code = 79
	// NotExecutable and NotFound are those of a shell, for the command of octostore run.
	NotExecutable Code = 126
	NotFound      Code = 127
)

// Row is one line of the table.
type Row struct {
	Code    Code
	Name    string
	Meaning string
}

// Table returns every code a command of octostore exits with by itself, in order.
func Table() []Row {
	return []Row{
		{OK, "ok", "it worked"},
		{Failed, "failed", "it failed, or a check found something wrong; the last line of the standard error says what"},
		{Usage, "usage", "the command line is wrong: an unknown word or flag, a value that cannot be read"},
		{Tampered, "tampered", "an export or a journal is not as it was written, or is of a kind that cannot be verified"},
		{Missing, "missing", "a file or database that is needed is not there"},
		{Unavailable, "unavailable", "no server answers, or it cannot do it now"},
		{Held, "held", "the lock is held, or a limit of the server is reached; the same command may work later"},
		{Denied, "denied", "the server refused: a policy, a scope, or no good token"},
		{Lost, "lost", "the lease is over: it expired, it was broken or released, or it could not be renewed"},
		{NotExecutable, "not executable", "octostore run: the command cannot be started"},
		{NotFound, "not found", "octostore run: there is no such command"},
	}
}

// OfCommand says with which other codes octostore run exits.
const OfCommand = "octostore run exits as its command did: with the exit code of the command, or with 128 and the\n" +
	"number of the signal that ended it."

// Help returns the table as text for people.
func Help() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, r := range Table() {
		b.WriteString(r.line())
	}
	b.WriteString("\n" + OfCommand + "\n")
	return b.String()
}

func (r Row) line() string { return fmt.Sprintf("  %3d  %-14s  %s\n", r.Code, r.Name, r.Meaning) }

// Error is an error that says which code to exit with.
type Error struct {
	Code Code
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *Error) Unwrap() error { return e.Err }

// Usagef returns an error about the command line.
func Usagef(format string, args ...any) error {
	return &Error{Usage, fmt.Errorf(format, args...)}
}

// As gives an error a code. Nil stays nil.
func As(code Code, err error) error {
	if err == nil {
		return nil
	}
	return &Error{code, err}
}

// Of returns the code for an error: the one it carries, Missing if a file is not there,
// else Failed. Of nil it is OK.
func Of(err error) Code {
	var coded *Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &coded):
		return coded.Code
	case errors.Is(err, fs.ErrNotExist):
		return Missing
	}
	return Failed
}
