package locktool

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/client"
)

// Event returns a record of the audit log as a line of text for people, without its end.
func Event(line []byte) (string, error) {
	r, err := record.Parse(line)
	if err != nil {
		return "", fmt.Errorf("the server sent what is not a record: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-10s  %s", absolute(r.Time), cell(string(r.Kind)), orDash(string(r.Name)))
	add := func(format string, value any) { fmt.Fprintf(&b, "  "+format, value) }
	if who := strings.Trim(r.Holder+"@"+r.Account, "@"); who != "" {
		add("%s", cell(who))
	}
	if r.By != "" {
		add("by %s", cell(r.By))
	}
	if r.Token != 0 {
		add("token %d", r.Token)
	}
	if r.Kind == lock.Granted || r.Kind == lock.Renewed {
		add("for %s", span(r.TTLMS))
	}
	if r.WaitedMS != 0 {
		add("waited %s", span(r.WaitedMS))
	}
	if r.HeldMS != 0 {
		add("held %s", span(r.HeldMS))
	}
	if r.Priority != "" {
		add("priority %s", cell(r.Priority))
	}
	for _, why := range []string{r.Reason, r.Cause} {
		if why != "" {
			add("%q", why)
		}
	}
	return b.String(), nil
}

// windows are how far back a history is searched: farther, as long as there is too little.
var windows = []time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

// window returns one of the windows for people.
func window(d time.Duration) string {
	return map[time.Duration]string{windows[0]: "hour", windows[1]: "24 hours", windows[2]: "7 days"}[d]
}

// History returns the newest records about a lock, at most so many, the oldest first, and how
// far back it searched. It searches until ctx ends, and returns what it has found by then.
func History(ctx context.Context, c *client.Client, name string, most int) (found []json.RawMessage, searched time.Duration, err error) {
	for _, back := range windows {
		more, err := since(ctx, c, name, back, most)
		if err != nil && searched != 0 && ctx.Err() != nil {
			return found, searched, nil
		}
		if err != nil {
			return nil, 0, err
		}
		found, searched = more, back
		if len(found) >= most {
			break
		}
	}
	return found, searched, nil
}

// since returns the newest records of a window.
func since(ctx context.Context, c *client.Client, name string, back time.Duration, most int) ([]json.RawMessage, error) {
	body, err := c.Audit(ctx, client.AuditQuery{Prefix: name, Since: back.String()})
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var found []json.RawMessage
	complete := false
	lines := bufio.NewReaderSize(body, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && complete && len(line) == 0 {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the history of %s was cut off: %w", name, err)
		}
		var about struct {
			Name string `json:"name"`
			End  bool   `json:"end"`
		}
		if err := json.Unmarshal(line, &about); err != nil {
			return nil, errors.New("the server sent what is not a record")
		}
		complete = complete || about.End
		if about.Name != name { // the prefix selects longer names, too
			continue
		}
		if found = append(found, line[:len(line)-1]); len(found) > most {
			found = found[1:]
		}
	}
}
