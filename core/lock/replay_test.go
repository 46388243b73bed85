package lock_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// replay reads a record from its first line as an auditor would, knowing only the
// lines, and returns what is wrong with it, or "".
func replay(lines []string) string {
	type held struct {
		token uint64
		until time.Time
	}
	now := map[string]*held{}
	var lastSeq uint64
	prev := ""
	for i, line := range lines {
		var e struct {
			Seq, Token uint64
			Time       time.Time
			Kind, Name string
			Prev       string
			TTL        int64     `json:"ttl_ms"`
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
			now[e.Name] = &held{e.Token, e.Time.Add(time.Duration(e.TTL) * time.Millisecond)}
		case "renewed", "released", "expired", "broken", "undone":
			if h == nil || h.token != e.Token {
				return fmt.Sprintf("invariant 4: line %d: %s of token %d, which does not hold %s", i+1, e.Kind, e.Token, e.Name)
			}
			if e.Kind == "expired" && e.Time.Before(h.until.Add(-2*time.Millisecond)) {
				return fmt.Sprintf("invariant 4: line %d: token %d of %s expired at %s, promised until %s", i+1, e.Token, e.Name, e.Time, h.until)
			}
			if e.Kind != "renewed" {
				delete(now, e.Name)
				break
			}
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
