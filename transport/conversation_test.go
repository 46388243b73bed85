package transport

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/octostore/octostore/core/table"
)

var update = flag.Bool("update", false, "write what the server answers into testdata/*.txt")

// The files in testdata are conversations with a server that has just started, on
// the first of January 2000, in which time passes only when they say so:
//
//	## What is shown, in words.
//	... 10s pass
//	... b waits                  (the request is sent; its answer comes later)
//	... b is answered            (instead of a request)
//	... the disk fills up        (its last space is saved for holders)
//	... there is space again
//	POST /v1/locks/deploy/acquire?ttl=60s
//	Octostore-Lease: <lease 1>
//
//	a body
//	----
//	200 OK
//	Content-Type: application/json
//
//	{ ... }
//
// Lease ids, tokens and the ids of those are numbered in the order in which they appear.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			synctest.Test(t, func(t *testing.T) { got = converse(t, string(script)) })
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(script), got); diff != "" {
				t.Errorf("%s: wanted (-), got (+):\n%s", file, diff)
			}
		})
	}
}

// conversation is one run of a file.
type conversation struct {
	t       *testing.T
	server  *server
	seen    map[string][]string // what differs from run to run, by what it is
	waiting map[string]chan answer
	full    atomic.Bool
}

// converse plays a script and returns it with the answers as they were.
func converse(t *testing.T, script string) string {
	c := &conversation{t: t, seen: map[string][]string{}, waiting: map[string]chan answer{}}
	c.server = newServer(t, setup{lock: table.Config{Full: c.full.Load}})
	intro, steps, _ := strings.Cut(script, "## ")
	var out strings.Builder
	out.WriteString(intro)
	for step := range strings.SplitSeq(steps, "\n## ") {
		asked, _, ok := strings.Cut(step, "----\n")
		if !ok {
			t.Fatalf("no ---- in the step %q", step)
		}
		fmt.Fprintf(&out, "## %s----\n%s\n", asked, c.play(asked))
	}
	return strings.TrimSuffix(out.String(), "\n")
}

var (
	passing   = regexp.MustCompile(`^\.\.\. (\S+) passe?s?$`)
	beginning = regexp.MustCompile(`^\.\.\. (\S+) waits$`)
	answered  = regexp.MustCompile(`^\.\.\. (\S+) is answered$`)
	stopping  = regexp.MustCompile(`^\.\.\. the server begins to stop$`)
	filling   = regexp.MustCompile(`^\.\.\. the disk fills up$`)
	emptying  = regexp.MustCompile(`^\.\.\. there is space again$`)
)

// play does one step and returns the answer, empty if it is yet to come.
func (c *conversation) play(step string) string {
	_, asked, _ := strings.Cut(step, "\n") // the first line is for people
	var later string
	for strings.HasPrefix(asked, "... ") {
		var line string
		line, asked, _ = strings.Cut(asked, "\n")
		switch m := passing.FindStringSubmatch(line); {
		case m != nil:
			d, err := time.ParseDuration(m[1])
			if err != nil {
				c.t.Fatal(err)
			}
			time.Sleep(d)
			synctest.Wait() // what is due in this very instant happens first
		case stopping.MatchString(line):
			c.server.table.Drain()
		case filling.MatchString(line):
			c.full.Store(true)
		case emptying.MatchString(line):
			c.full.Store(false)
		case beginning.MatchString(line):
			later = beginning.FindStringSubmatch(line)[1]
		case answered.MatchString(line):
			return c.show(<-c.waiting[answered.FindStringSubmatch(line)[1]])
		default:
			c.t.Fatalf("what does %q mean?", line)
		}
	}
	r := c.request(asked)
	if later == "" {
		return c.show(c.send(r))
	}
	c.waiting[later] = make(chan answer, 1)
	go func() { c.waiting[later] <- c.send(r) }()
	synctest.Wait()
	return ""
}

func (c *conversation) send(r request) answer {
	return c.server.do(c.t, r.line, func(to *request) { ctx := to.ctx; *to = r; to.ctx = ctx })
}

// request reads a request. Whether it is invalid on purpose is seen by what the
// file says to it.
func (c *conversation) request(asked string) request {
	for what, all := range c.seen {
		for i, id := range all {
			asked = strings.ReplaceAll(asked, fmt.Sprintf("<%s %d>", what, i+1), id)
		}
	}
	head, content, _ := strings.Cut(asked, "\n\n")
	lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
	r := request{line: lines[0], header: http.Header{}, body: strings.TrimSuffix(content, "\n")}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		if name == "Invalid" {
			r.invalid = true
			continue
		}
		r.header.Add(name, value)
	}
	return r
}

var requestID = regexp.MustCompile(`("request_id": )"[a-z0-9]{6}-\d+"`)

// show writes an answer down, without what differs from run to run.
func (c *conversation) show(a answer) string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%d %s\n", a.status, http.StatusText(a.status))
	for _, name := range []string{"Allow", "Connection", "Content-Type", "Retry-After"} {
		if v := a.header.Get(name); v != "" {
			fmt.Fprintf(&out, "%s: %s\n", name, v)
		}
	}
	out.WriteByte('\n')
	if !strings.Contains(a.header.Get("Content-Type"), "json") {
		return c.mask(out.String() + string(a.body))
	}
	if err := json.Indent(&out, bytes.TrimSpace(a.body), "", "  "); err != nil {
		c.t.Fatalf("%v: %s", err, a.body)
	}
	return requestID.ReplaceAllString(c.mask(out.String()+"\n"), `$1"<id>"`)
}

// inAnswers is how what differs from run to run is found.
var inAnswers = map[string]*regexp.Regexp{
	"lease": regexp.MustCompile(`"lease_id": "([^"]+)"`),
	"token": regexp.MustCompile(`"token": "(octo_[^"]+)"`),
	"id":    regexp.MustCompile(`"id": "([a-z2-7]{12})"`),
}

// mask numbers what differs from run to run.
func (c *conversation) mask(s string) string {
	for what, in := range inAnswers {
		for _, m := range in.FindAllStringSubmatch(s, -1) {
			if !slices.Contains(c.seen[what], m[1]) {
				c.seen[what] = append(c.seen[what], m[1])
			}
		}
		for i, id := range c.seen[what] {
			s = strings.ReplaceAll(s, id, fmt.Sprintf("<%s %d>", what, i+1))
		}
	}
	return s
}
