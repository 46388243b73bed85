package audittool

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/core/journal/record"
)

// printer writes leases as they come.
type printer interface {
	Lease(l *Lease) error
	// Close ends the output. Output without its end is incomplete.
	Close() error
}

// Formats are the output formats of [newPrinter].
var Formats = []string{"text", "json", "csv"}

// newPrinter returns a printer of one of the Formats: lines for people, one JSON array, or
// rows. All times are in UTC.
func newPrinter(format string, w io.Writer) printer {
	switch format {
	case "json":
		return &jsonPrinter{w: w}
	case "csv":
		return &csvPrinter{out: csv.NewWriter(w)}
	}
	return &textPrinter{w: w}
}

// textPrinter writes columns of fixed width first, so that no line has to wait for
// another.
type textPrinter struct {
	w     io.Writer
	begun bool
}

const textRow = "%-20s  %-20s  %-10s  %-8s  %s\n"

func (p *textPrinter) Lease(l *Lease) error {
	if err := p.head(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.w, textRow, moment(l.GrantedAt, "before the records"), moment(l.EndedAt, "-"), l.held(), l.End, l.rest())
	return err
}

func (p *textPrinter) head() error {
	if p.begun {
		return nil
	}
	p.begun = true
	_, err := fmt.Fprintf(p.w, textRow, "FROM", "TO", "HELD", "END", "LOCK, HOLDER@ACCOUNT AND THE REST")
	return err
}

func (p *textPrinter) Close() error {
	if p.begun {
		return nil
	}
	_, err := fmt.Fprintln(p.w, "No leases.")
	return err
}

func moment(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return t.UTC().Format(time.RFC3339)
}

func (l *Lease) held() string {
	begun := l.begun()
	if begun.IsZero() || l.EndedAt == nil {
		return "-"
	}
	return l.EndedAt.Sub(begun).Round(time.Millisecond).String()
}

// rest returns the fields without a column of their own.
func (l *Lease) rest() string {
	parts := []string{string(l.Name), strings.Trim(l.Holder+"@"+l.Account, "@"), fmt.Sprintf("token %d", l.Token)}
	add := func(format, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	if l.EndedAt == nil {
		add("until %s", moment(l.ExpiresAt, ""))
	}
	add("priority %s", l.Priority)
	add("reason %q", l.Reason)
	add("by %s", l.By)
	add("cause %q", l.Cause)
	add("policies %s", l.policies())
	add("policy set %s", l.PolicySet)
	return strings.Join(parts, "  ")
}

// policies returns the verdicts in one line, without repeats.
func (l *Lease) policies() string {
	var all []string
	for _, p := range l.Policies {
		text := p.Name + "=" + p.Verdict
		if p.Mode == "shadow" {
			text += " (shadow)"
		}
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

// jsonPrinter writes one array, an element a line.
type jsonPrinter struct {
	w     io.Writer
	begun bool
}

func (p *jsonPrinter) Lease(l *Lease) error {
	doc, err := json.Marshal(l)
	if err != nil {
		return err
	}
	before := ",\n"
	if !p.begun {
		before, p.begun = "[\n", true
	}
	_, err = fmt.Fprintf(p.w, "%s%s", before, doc)
	return err
}

func (p *jsonPrinter) Close() error {
	end := "\n]\n"
	if !p.begun {
		end = "[]\n"
	}
	_, err := io.WriteString(p.w, end)
	return err
}

// csvPrinter writes a row of names and rows, nothing else.
type csvPrinter struct {
	out   *csv.Writer
	begun bool
}

var csvColumns = []string{
	"name", "fencing_token", "account", "holder", "reason", "metadata", "granted_at", "ended_at", "expires_at", "held_ms",
	"end", "by", "cause", "token_id", "remote_addr", "policies", "policy_set", "priority",
}

func (p *csvPrinter) head() error {
	if p.begun {
		return nil
	}
	p.begun = true
	return p.out.Write(csvColumns)
}

func (p *csvPrinter) Lease(l *Lease) error {
	if err := p.head(); err != nil {
		return err
	}
	metadata := ""
	if len(l.Metadata) > 0 {
		doc, err := json.Marshal(l.Metadata)
		if err != nil {
			return err
		}
		metadata = string(doc)
	}
	row := []string{
		string(l.Name), strconv.FormatUint(uint64(l.Token), 10), l.Account, l.Holder, l.Reason, metadata,
		moment(l.GrantedAt, ""), moment(l.EndedAt, ""), moment(l.ExpiresAt, ""), strconv.FormatInt(l.HeldMS, 10),
		l.End, l.By, l.Cause, l.TokenID, l.RemoteAddr, l.policies(), l.PolicySet, l.Priority,
	}
	for i := range row {
		row[i] = record.Cell(row[i])
	}
	return p.out.Write(row)
}

func (p *csvPrinter) Close() error {
	if err := p.head(); err != nil {
		return err
	}
	p.out.Flush()
	return p.out.Error()
}

// WriteLeases reads records and prints the leases that the query selects, in the order in
// which they ended. The format is one of Formats.
func WriteLeases(ctx context.Context, stdin io.Reader, out io.Writer, from Source, q Query, format string) error {
	if format != "text" {
		out = terminal.Exact(out)
	}
	buffered := bufio.NewWriter(out)
	p := newPrinter(format, buffered)
	leases := newLeaseLog(q, p.Lease)
	if err := from.Read(ctx, stdin, leases.Add); err != nil {
		return errors.Join(err, buffered.Flush())
	}
	return errors.Join(leases.End(), p.Close(), buffered.Flush())
}
