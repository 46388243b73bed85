package audittool

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// TailConfig configures [Tail].
type TailConfig struct {
	Client *client.Client
	Query  client.AuditQuery
	JSON   bool      // also where Out is a terminal
	Out    io.Writer // of records: lines for people on a terminal, else JSON
	Errors io.Writer // is told of a lost connection
}

// Tail shows records. If the query follows, it goes on until ctx ends, and connects
// again whenever the connection is lost.
func Tail(ctx context.Context, cfg TailConfig) error {
	t := tail{client: cfg.Client, query: cfg.Query, out: cfg.Out, errors: cfg.Errors, show: readableLine}
	if cfg.JSON || !terminal.Is(cfg.Out) {
		t.show, t.out = jsonLine, terminal.Exact(cfg.Out)
	}
	return t.run(ctx)
}

// tail prints records as they come.
type tail struct {
	client *client.Client
	query  client.AuditQuery
	out    io.Writer
	errors io.Writer
	show   func(line []byte) (string, error)
	ended  bool          // the newest export was complete
	wait   time.Duration // before it asks again; 0: a second

	reached   bool // the server answered at least once
	connected bool // it answered the last time
}

// run goes on until there is no more, or, if it follows, until ctx ends.
func (t *tail) run(ctx context.Context) error {
	for {
		err := t.once(ctx)
		var answered *client.Error
		switch {
		case ctx.Err() != nil:
			return nil // that is how it is ended
		case !t.query.Follow || errors.As(err, &answered) && answered.Status < 500 && answered.Status != http.StatusTooManyRequests,
			err != nil && !t.reached:
			return err
		}
		if err != nil && t.connected {
			fmt.Fprintln(t.errors, "octostore: the connection is lost; trying again:", err)
		}
		if sleep.For(ctx, cmp.Or(t.wait, time.Second)) != nil {
			return nil
		}
	}
}

// once reads one export.
func (t *tail) once(ctx context.Context) error {
	t.connected = false
	body, err := t.client.Audit(ctx, t.query)
	if err != nil {
		return err
	}
	defer body.Close()
	t.reached, t.connected, t.ended = true, true, false
	lines := bufio.NewReaderSize(body, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && t.ended && len(line) == 0 {
			return nil
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if err := t.line(line); err != nil {
			return err
		}
	}
}

func (t *tail) line(line []byte) error {
	var place struct {
		Export int    `json:"export"`
		End    bool   `json:"end"`
		Last   string `json:"last"`
		Seq    int64  `json:"seq"`
	}
	if err := json.Unmarshal(line, &place); err != nil {
		return fmt.Errorf("the server sent what is not a record: %w", err)
	}
	switch {
	case place.End:
		t.ended, t.query.After, t.query.Since = true, place.Last, ""
		return nil
	case place.Export != 0:
		return nil
	}
	text, err := t.show(line)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(t.out, text); err != nil {
		return err
	}
	t.query.After, t.query.Since = fmt.Sprint(place.Seq), ""
	return nil
}

func jsonLine(line []byte) (string, error) { return string(line), nil }

// readableLine returns a record as a line of text for people.
func readableLine(line []byte) (string, error) {
	r, err := record.Parse(line)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-12s", r.Time.Local().Format("2006-01-02 15:04:05.000"), r.Kind)
	add := func(format string, value any) { fmt.Fprintf(&b, format, value) }
	if r.Name != "" {
		add("  %s", r.Name)
	}
	if who := strings.Trim(r.Holder+"@"+r.Account, "@"); who != "" {
		add("  %s", who)
	}
	if r.By != "" {
		add(" by %s", r.By)
	}
	if r.Token != 0 {
		add("  token %d", r.Token)
	}
	if r.WaitedMS != 0 {
		add("  waited %s", time.Duration(r.WaitedMS)*time.Millisecond)
	}
	if r.Priority != "" {
		add("  priority %s", r.Priority)
	}
	if r.HeldMS != 0 {
		add("  held %s", time.Duration(r.HeldMS)*time.Millisecond)
	}
	for _, why := range []string{r.Reason, r.Cause} {
		if why != "" {
			add("  %q", why)
		}
	}
	if r.RemoteAddr != "" {
		add("  from %s", r.RemoteAddr)
	}
	b.WriteByte('\n')
	return b.String(), nil
}

// isUnknownCursor reports whether the server has no record with the cursor.
func isUnknownCursor(err error) bool {
	var answered *client.Error
	return errors.As(err, &answered) && answered.Code == api.CodeInvalid && answered.InvalidProblem != nil && answered.Field == "after"
}

// expiredCursor returns the oldest cursor of the server if the error says that the given one
// has been pruned.
func expiredCursor(err error) (oldest string, is bool) {
	var answered *client.Error
	if errors.As(err, &answered) && answered.Code == api.CodeCursorExpired && answered.ExpiredProblem != nil {
		return answered.Oldest, true
	}
	return "", false
}
