package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

var auditFields = param.SetOf(param.After, param.Since, param.Until, param.Name, param.Prefix, param.Kind, param.Account,
	param.Decision, param.Limit, param.Format, param.Follow, param.Last)

// audit streams the audit log, or the part that is asked for, until the client's token ends.
func (x *exchange) audit() error {
	if err := core.MaySome(x.principal, "read the audit log", auth.Audit); err != nil {
		return err
	}
	defer x.endWithToken()()
	return x.cause(x.export())
}

func (x *exchange) export() error {
	form, err := x.params.AuditFormat()
	if err != nil {
		return err
	}
	follow, err := x.params.Flag(param.Follow)
	if err != nil {
		return err
	}
	query, err := x.auditQuery()
	if err != nil {
		return err
	}
	out := auditStream{export: x.api.journal.Export(query), follow: follow, encode: asIs, contentType: wire.TypeNDJSON}
	out.newest = query.Newest > 0
	if form == "csv" {
		out.encode, out.contentType = new(record.CSV).Encode, wire.TypeCSV
	}
	return out.send(x)
}

// auditQuery reads the query. Without a cursor it begins at the oldest record.
func (x *exchange) auditQuery() (q journal.Query, err error) {
	p := &x.params
	now := time.Now()
	if q.Filter, err = p.AuditFilter(); err != nil {
		return q, err
	}
	if !x.principal.MayAll(auth.Audit) { // an auditor of everything gets the segments as they are stored
		q.Filter.Visible = x.sees(auth.Audit)
	}
	if q.Limit, err = p.AuditLimit(); err != nil {
		return q, err
	}
	if q.Newest, err = p.Newest(); err != nil {
		return q, err
	}
	if q.Until, err = p.Instant(param.Until, now); err != nil {
		return q, err
	}
	since, err := p.Instant(param.Since, now)
	if err != nil {
		return q, err
	}
	if q.After, err = x.auditCursor(); err != nil || since.IsZero() {
		return q, err
	}
	from, err := x.api.journal.Before(x.context(), since)
	q.After = max(q.After, from)
	return q, err
}

// auditCursor returns the event after which to begin: that of the cursor, else the one before
// the oldest record.
func (x *exchange) auditCursor() (lock.Seq, error) {
	j := x.api.journal
	after, err := x.params.Cursor(param.After, j.Head())
	if err != nil {
		return 0, err
	}
	if text := x.params.Text(param.After); text == "" {
		return j.Oldest(), nil
	}
	if oldest := j.Oldest(); after < oldest {
		if _, err := j.Scan(x.context(), after, 1); err != nil {
			return 0, err // not always that they were pruned: an archive may be out of reach
		}
	}
	known, err := j.Knows(x.context(), after)
	if err == nil && !known {
		err = &input.Error{
			Field:   param.After.String(),
			Problem: fmt.Sprintf("is %q, which no record here has", record.FormatCursor(after)),
			Want:    param.WantCursor,
		}
	}
	return after, err
}

// auditStream is an export to a client.
type auditStream struct {
	export      *journal.Export
	newest      bool // it begins where the newest records do that it wants
	follow      bool
	contentType []string
	encode      func([]byte) ([]byte, error) // of whole lines
}

func asIs(lines []byte) ([]byte, error) { return lines, nil }

// send streams the export to its end. An error on the way closes the connection; the closing
// line is missing then.
func (a *auditStream) send(x *exchange) error {
	if !x.api.exports.Begin(x.principal.Account) {
		return problem.ErrTooManyReaders
	}
	defer x.api.exports.End(x.principal.Account)
	if err := a.seek(x); err != nil {
		return err
	}
	s, err := x.beginStream(a.contentType, x.params.AcceptsGzip(), exportUnsent)
	if err != nil {
		return err
	}
	if x.r.Method == http.MethodHead {
		return nil
	}
	defer s.Rest()
	until, done := x.followUntilStop()
	defer done()
	if err := a.line(s, a.export.Opening(time.Now())); err != nil {
		return err
	}
	last := time.Now()
	for {
		if err := a.lines(x.context(), s); err != nil {
			return err
		}
		if !a.follow || a.export.Complete() {
			break
		}
		if err := s.Flush(); err != nil {
			return err
		}
		x.api.streams.Pause(until, last)
		if x.api.journal.Wait(until, a.export.Cursor()) != nil {
			break // the closing line has the cursor to go on with
		}
		last = time.Now()
		a.export.Extend()
	}
	if err := x.context().Err(); err != nil {
		return err
	}
	if err := a.line(s, a.export.Closing()); err != nil {
		return err
	}
	return s.Close()
}

// seek finds the beginning of an export of the newest records. If it gives up, a header says
// so: CSV has no other place for it.
func (a *auditStream) seek(x *exchange) error {
	if !a.newest {
		return nil
	}
	if err := a.export.Seek(x.context()); err != nil {
		return err
	}
	if a.export.Incomplete() {
		x.Header()[api.HeaderIncomplete] = []string{"searched=" + strconv.FormatInt(a.export.Searched(), 10)}
	}
	return nil
}

func (a *auditStream) line(s *wire.Stream, line []byte) error {
	encoded, err := a.encode(line)
	if err != nil {
		return err
	}
	return s.Write(encoded)
}

// lines sends the lines up to the end of the export.
func (a *auditStream) lines(ctx context.Context, s *wire.Stream) error {
	s.Work()
	defer s.Rest()
	for {
		found, err := a.export.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, lines := range found {
			if err := a.line(s, lines); err != nil {
				return err
			}
		}
	}
}
