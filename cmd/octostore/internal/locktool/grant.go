// Package locktool is what the commands for locks print and read: grants, locks and their
// queues, recent events, lease ids. Text is for people; JSON is that of the HTTP API.
package locktool

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// Grant prints the lease that an acquire has got.
func Grant(w io.Writer, g api.Grant, asJSON bool) error {
	if asJSON {
		return text.JSON(w, g)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "lock\t%s\n", cell(g.Name))
	fmt.Fprintf(table, "lease id\t%s\n", cell(g.LeaseID))
	fmt.Fprintf(table, "fencing token\t%d\n", g.FencingToken)
	fmt.Fprintf(table, "expires\t%s (in %s%s)\n", absolute(g.ExpiresAt), span(g.ExpiresInMS), unconfirmed(g.ConfirmMS, g.TTLMS))
	return table.Flush()
}

// Renewed prints the lease that a renewal has given more time.
func Renewed(w io.Writer, g api.Grant, asJSON bool) error {
	if asJSON {
		return text.JSON(w, g)
	}
	_, err := fmt.Fprintf(w, "renewed %s, which expires %s (in %s)\n", cell(g.Name), absolute(g.ExpiresAt), span(g.ExpiresInMS))
	return err
}

// Ended prints how a lease was ended: released or broken.
func Ended(w io.Writer, how string, e api.Ended, asJSON bool) error {
	if asJSON {
		return text.JSON(w, e)
	}
	_, err := fmt.Fprintf(w, "%s %s, which was held for %s (fencing token %d)\n", how, cell(e.Name), span(e.HeldMS), e.FencingToken)
	return err
}

// ShellBegin begins the output for eval in a POSIX shell, before a lock is acquired: a group of
// commands, which [Shell] or [ShellEnd] ends. Without its end the eval fails, as it has to if a
// signal ends the process.
func ShellBegin(w io.Writer) error {
	_, err := fmt.Fprint(terminal.Exact(w), "{ :\n")
	return err
}

// ShellEnd ends the output without a lease.
func ShellEnd(w io.Writer) error {
	_, err := fmt.Fprint(terminal.Exact(w), "}\n")
	return err
}

// Shell prints a lease as assignments, and ends the output.
func Shell(w io.Writer, g api.Grant) error {
	_, err := fmt.Fprintf(
		terminal.Exact(w),
		"export OCTOSTORE_LOCK=%s\nexport OCTOSTORE_LEASE_ID=%s\nexport OCTOSTORE_FENCING_TOKEN=%s\n}\n",
		Quote(g.Name),
		Quote(g.LeaseID),
		Quote(strconv.FormatUint(g.FencingToken, 10)),
	)
	return err
}

// ShellFailure prints a command that fails, for an eval that does not look at the exit code
// of the command whose output it is given. It stands alone, or behind the end of the output.
func ShellFailure(w io.Writer, code int) error {
	_, err := fmt.Fprintf(terminal.Exact(w), "(exit %d)\n", code)
	return err
}

// Quote returns s as one word of a POSIX shell, in which nothing is expanded.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// NotAcquired says what to do after an acquire that has failed: of a lock that is held it names
// the holder and the remaining time. The error stays what it was for [errors.Is] and [errors.As].
func NotAcquired(name string, waited bool, err error) error {
	answered, is := errors.AsType[*client.Error](err)
	if !is || !errors.Is(err, client.ErrHeld) || answered.HeldProblem == nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s is held", name)
	if l := answered.Lease; l != nil {
		fmt.Fprintf(&b, " by %s, for %s more at most unless it is renewed", holderOf(*l), span(l.ExpiresInMS))
	}
	if n := answered.Waiters; n > 0 {
		fmt.Fprintf(&b, "; queue: %s", text.Count(int64(n), "waiter"))
	}
	if !waited {
		b.WriteString("; --wait DURATION waits for it")
	}
	return &toldError{b.String(), err}
}

// SayWaiting returns a function that says what an acquire waits for, whenever that changes.
func SayWaiting(w io.Writer, name string) func(client.Waiting) {
	said := ""
	return func(now client.Waiting) {
		what := ""
		switch {
		case now.Held != nil && now.Held.Lease != nil:
			what = fmt.Sprintf("%s, held by %s", cell(name), holderOf(*now.Held.Lease))
		case now.Held == nil && now.Err != nil:
			what = now.Err.Error()
		}
		if what != "" && what != said {
			fmt.Fprintf(w, "octostore: waiting: %s\n", what)
			said = what
		}
	}
}

// toldError is an error in other words.
type toldError struct {
	text string
	err  error
}

func (e *toldError) Error() string { return e.text }

// Unwrap returns the error in its own words.
func (e *toldError) Unwrap() error { return e.err }

// unconfirmed says how long a lease will run after its first renewal; nothing if that is no
// longer than now.
func unconfirmed(confirmMS, ttlMS int64) string {
	if confirmMS == 0 {
		return ""
	}
	return fmt.Sprintf("; unconfirmed: a renewal gives it %s", span(ttlMS))
}
