package runner

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/transport/api"
)

// situation is what is known about a lock while a run waits for it.
type situation struct {
	lease    *api.Lease // the holder's, nil if unknown
	seen     time.Time  // when lease was as it says
	position int        // the own place in the queue, from 1; 0: unknown
	waiters  int        // length of the queue; 0: unknown
	problem  string     // why the run is not in the queue: no server, a full queue
	kind     string     // of the problem; unlike the text, it is the same for the same cause
}

// key is equal for situations that need no new line.
func (s situation) key() string {
	if s.kind != "" {
		return s.kind
	}
	var token uint64
	if s.lease != nil {
		token = s.lease.FencingToken
	}
	return strconv.FormatUint(token, 10) + " " + strconv.Itoa(s.position)
}

// held returns how long the holder has had the lock, and for how long it may have it without a
// renewal. Both are counted by the server's clock, whose difference from ours is unknown.
func (s situation) held(now time.Time) (since, left time.Duration) {
	passed := now.Sub(s.seen)
	left = time.Duration(s.lease.ExpiresInMS) * time.Millisecond
	since = s.lease.ExpiresAt.Sub(s.lease.GrantedAt) - left
	return max(0, since+passed), max(0, left-passed)
}

// sentence says for people how things are with a lock, on one line.
func (s situation) sentence(name string, waited time.Duration, now time.Time) string {
	if s.problem != "" {
		return fmt.Sprintf("%s: %s. Asking again, waiting %s.", name, oneLine(s.problem), seconds(waited))
	}
	var b strings.Builder
	if s.lease == nil {
		fmt.Fprintf(&b, "Waiting for %s", name)
	} else {
		since, left := s.held(now)
		fmt.Fprintf(&b, "%s is held by %s for %s, at most %s more", name, holderOf(s.lease), seconds(since), seconds(left))
	}
	switch {
	case s.position > 0:
		fmt.Fprintf(&b, ". You are %s of %d, waiting %s.", ordinal(s.position), max(s.waiters, s.position), seconds(waited))
	case s.lease == nil:
		fmt.Fprintf(&b, ", %s.", seconds(waited))
	default:
		fmt.Fprintf(&b, ". You are waiting %s.", seconds(waited))
	}
	return b.String()
}

// holderOf names the holder of a lease, without the account if there are no accounts.
func holderOf(l *api.Lease) string {
	holder, account := oneLine(l.Holder), oneLine(l.Account)
	switch {
	case holder == "" && account == "":
		return "another client"
	case holder == "":
		return account
	case account == "":
		return holder
	}
	return holder + " (" + account + ")"
}

// oneLine returns a text that comes from elsewhere so that it can be shown within a line.
func oneLine(s string) string { return terminal.Clean(strings.Join(strings.Fields(s), " ")) }

// seconds shows a duration without fractions of a second.
func seconds(d time.Duration) string { return d.Truncate(time.Second).String() }

func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return strconv.Itoa(n) + suffix
}
