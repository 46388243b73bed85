package table_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// replayed is what a record tells.
type replayed struct {
	problem                string // what is wrong with it, or ""
	confirmed, unconfirmed int    // leases that were to be confirmed, and were or were not
	ends                   []ending
}

// ending is how a lease ended.
type ending struct {
	kind  string
	token lock.Token
	at    time.Time
}

// replay reads a record from its first line as an auditor would, knowing only the
// lines.
func replay(lines []string) (told replayed) {
	told.problem = told.read(lines)
	return told
}

func (told *replayed) read(lines []string) string {
	type held struct {
		token       uint64
		until       time.Time
		unconfirmed bool
	}
	now, ttl := map[string]*held{}, map[uint64]time.Duration{}
	var lastSeq uint64
	prev := ""
	for i, line := range lines {
		var e struct {
			Seq, Token uint64
			Time       time.Time
			Kind, Name string
			Prev       string
			Cause      string
			TTL        int64     `json:"ttl_ms"`
			Confirm    int64     `json:"confirm_ms"`
			ExpiresAt  time.Time `json:"expires_at"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return fmt.Sprintf("line %d: %v", i+1, err)
		}
		h := now[e.Name]
		switch {
		case e.Prev != prev:
			return fmt.Sprintf("line %d: the chain is broken", i+1)
		case e.Seq <= lastSeq:
			return fmt.Sprintf("invariant 2: line %d: number %d after %d", i+1, e.Seq, lastSeq)
		case e.Kind == "granted" && h != nil:
			return fmt.Sprintf("invariant 1: line %d: %s is granted while token %d holds it", i+1, e.Name, h.token)
		case e.Kind == "granted" && e.Token != e.Seq:
			return fmt.Sprintf("invariant 2: line %d: token %d granted by event %d", i+1, e.Token, e.Seq)
		}
		switch e.Kind {
		case "granted":
			first := e.TTL
			if e.Confirm > 0 {
				first = e.Confirm
			}
			now[e.Name] = &held{e.Token, e.Time.Add(time.Duration(first) * time.Millisecond), e.Confirm > 0}
			ttl[e.Token] = time.Duration(e.TTL) * time.Millisecond
		case "renewed", "released", "expired", "broken", "undone":
			if h == nil || h.token != e.Token {
				return fmt.Sprintf("invariant 4: line %d: %s of token %d, which does not hold %s", i+1, e.Kind, e.Token, e.Name)
			}
			if e.Kind == "expired" && e.Time.Before(h.until.Add(-2*time.Millisecond)) {
				return fmt.Sprintf("invariant 4: line %d: token %d of %s expired at %s, promised until %s", i+1, e.Token, e.Name, e.Time, h.until)
			}
			if e.Kind == "expired" && h.unconfirmed != strings.HasPrefix(e.Cause, "not confirmed") {
				return fmt.Sprintf("line %d: token %d of %s expired, unconfirmed %t, and the record says %q", i+1, e.Token, e.Name, h.unconfirmed, e.Cause)
			}
			if e.Kind == "expired" && h.unconfirmed {
				told.unconfirmed++
			}
			if e.Kind != "renewed" {
				told.ends = append(told.ends, ending{e.Kind, lock.Token(e.Token), e.Time})
				delete(now, e.Name)
				break
			}
			if least := e.Time.Add(ttl[e.Token] - 2*time.Millisecond); h.unconfirmed && e.ExpiresAt.Before(least) {
				return fmt.Sprintf("line %d: token %d of %s was confirmed until %s, want %s", i+1, e.Token, e.Name, e.ExpiresAt, least)
			}
			if h.unconfirmed {
				told.confirmed++
			}
			h.unconfirmed = false
			if e.ExpiresAt.Before(h.until.Add(-2 * time.Millisecond)) {
				return fmt.Sprintf("invariant 4: line %d: a renewal brought the end nearer", i+1)
			}
			h.until = e.ExpiresAt
		}
		lastSeq = e.Seq
		sum := sha256.Sum256([]byte(line))
		prev = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return ""
}
