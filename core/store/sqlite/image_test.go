package sqlite

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/storetest"
	"github.com/octostore/octostore/core/table"
)

// line is an event as the journal records it.
type line struct {
	Seq     lock.Seq
	Kind    lock.Kind
	Name    lock.Name
	Token   lock.Token
	Account string
	Holder  string
	TTL     int64  `json:"ttl_ms"`
	Request string `json:"request_id"`
	Prev    string
}

// checkChain returns the events of the segments, after it has checked that each follows
// from the one before.
func checkChain(segments []lock.Segment) (events []line, err error) {
	prev := ""
	for _, g := range segments {
		for text := range bytes.Lines(g.Bytes) {
			text = bytes.TrimSuffix(text, []byte("\n"))
			var e line
			if err := json.Unmarshal(text, &e); err != nil {
				return nil, err
			}
			if e.Prev != prev {
				return nil, fmt.Errorf("event %d does not follow from the one before", e.Seq)
			}
			sum := sha256.Sum256(text)
			prev = base64.RawURLEncoding.EncodeToString(sum[:])
			events = append(events, e)
		}
	}
	return events, nil
}

// holding is a lease as far as the journal tells.
type holding struct {
	token           lock.Token
	account, holder string
	ttl             time.Duration
}

// checkReplay compares the leases with those the events lead to.
func checkReplay(events []line, leases []lock.Loaded) error {
	want := make(map[lock.Name]holding)
	for _, e := range events {
		switch {
		case e.Kind == lock.Granted || e.Kind == lock.Renewed:
			want[e.Name] = holding{e.Token, e.Account, e.Holder, time.Duration(e.TTL) * time.Millisecond}
		case e.Kind.Ends():
			delete(want, e.Name)
		}
	}
	for _, l := range leases {
		got := holding{l.Lease.Token, l.Lease.Account, l.Lease.Holder, l.Lease.TTL}
		if w := want[l.Lease.Name]; got != w {
			return fmt.Errorf("%s: %+v, but the journal leads to %+v", l.Lease.Name, got, w)
		}
	}
	if len(leases) != len(want) {
		return fmt.Errorf("%d leases, but the journal leads to %d", len(leases), len(want))
	}
	return nil
}

// checkSegments compares the journal with the batches committed when the disk had done n
// operations. Only the newest batch may be there unconfirmed.
func (c *chain) checkSegments(got []lock.Segment, n int) error {
	i := 0
	for at, commit := range c.commits {
		there := i < len(got) && bytes.Equal(got[i].Bytes, commit.segment.Bytes)
		switch {
		case there && errors.Is(commit.err, lock.ErrFull):
			return fmt.Errorf("batch %d is there, but was refused", commit.segment.First)
		case there:
			i++
		case commit.err == nil && commit.ops <= n:
			return fmt.Errorf("batch %d of %d is lost: %d segments", at+1, len(c.commits), len(got))
		}
	}
	if i < len(got) {
		return fmt.Errorf("segment %d was never committed so", got[i].First)
	}
	return nil
}

// checkSaid checks that everything clients were told by then is there.
func (c *chain) checkSaid(events []line, n int) error {
	type fact struct {
		kind    lock.Kind
		token   lock.Token
		request string
	}
	facts := make(map[fact]bool)
	for _, e := range events {
		if c.refused[e.Request] {
			return fmt.Errorf("%s was refused, but the journal has its %s", e.Request, e.Kind)
		}
		facts[fact{e.Kind, e.Token, e.Request}] = true
		facts[fact{e.Kind, e.Token, ""}] = true
	}
	for _, s := range c.said {
		if s.ops <= n && !facts[fact{s.kind, s.token, s.request}] {
			return fmt.Errorf("a client was told of a %s under token %d, %s: it is not in the journal", s.kind, s.token, s.request)
		}
	}
	return nil
}

// check opens the database that a stop after n operations left at path, and returns the
// promise that is broken, or nil.
func (c *chain) check(t *testing.T, path string, n int) error {
	s, err := Open(t.Context(), Config{Path: path, walSize: -1, Reserve: -1})
	if err != nil {
		return err
	}
	defer s.Close()
	snap, err := s.Load(t.Context())
	if err != nil {
		return err
	}
	segments, err := storetest.Drain(t.Context(), s, 0, 1000)
	if err != nil {
		return err
	}
	if err := c.checkSegments(segments, n); err != nil {
		return err
	}
	events, err := checkChain(segments)
	if err != nil {
		return err
	}
	if err := errors.Join(checkReplay(events, snap.Leases), c.checkSaid(events, n)); err != nil {
		return err
	}
	return c.checkToken(t, s, n)
}

// checkToken lets a table on the store grant a lock, and compares its token with all tokens
// that clients have.
func (c *chain) checkToken(t *testing.T, s *Store, n int) error {
	tab, err := table.Open(t.Context(), journal.New(s), table.Config{})
	if err != nil {
		return err
	}
	defer tab.Close()
	g, err := tab.Acquire(t.Context(), lock.Acquisition{Name: "after", TTL: time.Minute})
	if err != nil {
		return err
	}
	if len(c.commits) == 0 || c.commits[0].ops > n {
		return nil // there was nothing yet to keep tokens growing
	}
	for _, s := range c.said {
		if s.ops <= n && g.Lease.Token <= s.token {
			return fmt.Errorf("token %d is given after %d", g.Lease.Token, s.token)
		}
	}
	return nil
}

// write puts the files of a database at main to another path.
func write(t *testing.T, files map[string][]byte, main, path string) {
	t.Helper()
	for name, b := range files {
		if err := os.WriteFile(path+strings.TrimPrefix(name, main), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
