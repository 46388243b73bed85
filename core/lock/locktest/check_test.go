package locktest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The leases of these histories last from second 10 to second 20, unless they say
// otherwise. Operations begin at the given second and end in it, one after the other.

func op(at int, do Verb, result Result, token uint64) *Operation {
	o := &Operation{Lock: "l", Do: do, Token: token, Outcome: Outcome{Result: result}}
	o.began = time.Duration(at) * time.Second
	o.ended = o.began + time.Second/2
	return o
}

func grant(at int, attempt string, token uint64) *Operation {
	o := op(at, Acquire, Done, 0)
	o.Attempt, o.Outcome.Token = attempt, token
	o.earliest, o.until = 20*time.Second, 20*time.Second
	return o
}

func acquire(at int, attempt string, result Result) *Operation {
	o := op(at, Acquire, result, 0)
	o.Attempt = attempt
	return o
}

func sees(at int, do Verb, token uint64, attempt string) *Operation {
	o := op(at, do, Held, 0)
	o.Outcome.Token, o.Outcome.Attempt = token, attempt
	return o
}

func renewed(at int, token uint64, until int) *Operation {
	o := op(at, Renew, Done, token)
	o.Outcome.Token = token
	o.earliest, o.until = time.Duration(until)*time.Second, time.Duration(until)*time.Second
	return o
}

// keyed makes a request one that may be repeated.
func keyed(o *Operation) *Operation {
	o.Keyed = true
	return o
}

// lasting has an operation go on until after the next n.
func lasting(o *Operation, n int64) *Operation {
	o.end = n
	return o
}

func historyOf(ops ...*Operation) *History {
	h := &History{ops: ops}
	for i, o := range ops {
		o.call = int64(2 * i)
		o.end = o.call + 1 + 2*o.end
		o.ended = max(o.ended, ops[min(i+int((o.end-o.call)/2), len(ops)-1)].ended)
	}
	return h
}

var tests = []struct {
	name string
	ops  []*Operation
	bad  bool
}{
	{"nothing", nil, false},

	// Two holders.
	{"one after the other", []*Operation{grant(10, "a", 5), op(11, Release, Done, 5), grant(12, "b", 6)}, false},
	{"a lock granted twice", []*Operation{grant(10, "a", 5), grant(12, "b", 6)}, true},
	{"a lock granted after the lease lapsed", []*Operation{grant(10, "a", 5), grant(21, "b", 6)}, false},
	{"a lock granted while it lapses", []*Operation{grant(10, "a", 5), grant(20, "b", 6)}, false},
	{"a lock granted just before it lapses", []*Operation{grant(10, "a", 5), grant(19, "b", 6)}, true},
	{"a lock granted before a renewed lease lapses", []*Operation{grant(10, "a", 5), renewed(15, 5, 30), grant(25, "b", 6)}, true},
	{"a release that meets an acquire", []*Operation{grant(10, "a", 5), lasting(grant(12, "b", 6), 1), op(12, Release, Done, 5)}, false},
	{"a free lock that is held", []*Operation{grant(10, "a", 5), op(12, Look, Free, 0)}, true},
	{"a stranger who holds it", []*Operation{grant(10, "a", 5), sees(12, Look, 7, "b")}, true},

	// Tokens.
	{"a token used again", []*Operation{grant(10, "a", 5), op(11, Release, Done, 5), grant(12, "b", 5)}, true},
	{"a token that goes back", []*Operation{grant(10, "a", 5), op(11, Release, Done, 5), grant(12, "b", 4)}, true},
	{"a token below one that was seen", []*Operation{acquire(10, "a", Unknown), sees(11, Look, 9, "a"), grant(12, "b", 8)}, true},

	// Ends.
	{"a lease that came back after its release", []*Operation{grant(10, "a", 5), op(11, Release, Done, 5), renewed(12, 5, 30)}, true},
	{"a lease that came back after its lapse", []*Operation{grant(10, "a", 5), op(21, Look, Free, 0), sees(22, Look, 5, "a")}, true},
	{"a lease that came back after another one", []*Operation{grant(10, "a", 5), grant(21, "b", 6), sees(22, Look, 5, "a")}, true},
	{"a renewal after the deadline", []*Operation{grant(10, "a", 5), renewed(21, 5, 31)}, true},
	{"a release after the deadline", []*Operation{grant(10, "a", 5), op(21, Release, Done, 5)}, true},
	{"a lease that is seen after its deadline", []*Operation{grant(10, "a", 5), sees(22, Look, 5, "a")}, false},
	{"a renewal that brings the end nearer", []*Operation{grant(10, "a", 5), renewed(12, 5, 15)}, true},
	{"a release that was lost", []*Operation{grant(10, "a", 5), op(11, Release, Done, 5), sees(12, Look, 5, "a")}, true},
	{"a release that was lost, and the next one refused", []*Operation{grant(10, "a", 5), op(11, Release, Done, 5), sees(12, Acquire, 5, "a")}, true},
	{"a break that was lost", []*Operation{grant(10, "a", 5), op(11, Break, Done, 5), renewed(12, 5, 30)}, true},
	{"a lease that ended early", []*Operation{grant(10, "a", 5), op(15, Renew, NotHeld, 5)}, true},
	{"a holder who may not release", []*Operation{grant(10, "a", 5), op(15, Release, NotHeld, 5)}, true},
	{"a lapsed renewal", []*Operation{grant(10, "a", 5), op(20, Renew, NotHeld, 5)}, false},
	{"a stale token that releases", []*Operation{grant(10, "a", 5), grant(21, "b", 6), op(22, Release, Done, 5)}, true},
	{"a release told again", []*Operation{grant(10, "a", 5), op(11, Release, Done, 5), grant(12, "b", 6), op(13, Release, Done, 5)}, false},
	{"a release told again that never was", []*Operation{grant(10, "a", 5), op(11, Break, Done, 5), op(12, Release, Done, 5), op(13, Release, Done, 5)}, true},

	// Requests without an answer.
	{"a lost acquire that no operation shows", []*Operation{acquire(10, "a", Unknown), grant(11, "b", 6)}, false},
	{"a lost acquire that shows later", []*Operation{acquire(10, "a", Unknown), op(11, Look, Free, 0), sees(12, Look, 6, "a"), op(13, Break, Done, 6)}, false},
	{"a lost acquire that is undone", []*Operation{acquire(10, "a", Unknown), sees(12, Look, 6, "a"), grant(13, "b", 7)}, false},
	{"a lost acquire that shows before it began", []*Operation{sees(9, Look, 6, "a"), acquire(10, "a", Unknown)}, true},
	{"a lost acquire granted twice", []*Operation{acquire(10, "a", Unknown), sees(11, Look, 6, "a"), op(12, Break, Done, 6), sees(13, Look, 7, "a")}, true},
	{"a refused acquire that shows", []*Operation{acquire(10, "a", Refused), sees(12, Look, 6, "a")}, true},
	{"a lost release", []*Operation{grant(10, "a", 5), op(11, Release, Unknown, 5), sees(12, Look, 5, "a"), grant(13, "b", 6)}, false},
	{"a release before any request for it", []*Operation{grant(10, "a", 5), grant(13, "b", 6), op(14, Release, Unknown, 5)}, true},
	{"a renewal that was made, and in vain", []*Operation{grant(10, "a", 5), lasting(op(19, Renew, NotHeld, 5), 1), op(21, Break, Done, 5)}, false},
	{"a renewal that came too late, and in vain", []*Operation{grant(10, "a", 5), lasting(op(21, Renew, NotHeld, 5), 1), op(22, Break, Done, 5)}, true},
	{"a lost renewal", []*Operation{grant(10, "a", 5), op(11, Renew, Unknown, 5), renewed(25, 5, 35)}, false},

	// Attempts.
	{"the same lease for the same key", []*Operation{keyed(grant(10, "a", 5)), keyed(grant(11, "a", 5))}, false},
	{"the same lease for the same key, unanswered before", []*Operation{keyed(acquire(10, "a", Unknown)), keyed(grant(11, "a", 5)), op(12, Renew, NotHeld, 5)}, true},
	{"another lease for the same key", []*Operation{keyed(grant(10, "a", 5)), op(11, Release, Done, 5), keyed(grant(12, "a", 6))}, true},
	{"a key whose lease lives, and is said to be over", []*Operation{keyed(grant(10, "a", 5)), keyed(acquire(11, "a", AttemptOver))}, true},
	{"a key whose lease is over", []*Operation{keyed(grant(10, "a", 5)), keyed(acquire(21, "a", AttemptOver))}, false},
	{"refused because of its own lease", []*Operation{keyed(grant(10, "a", 5)), func() *Operation {
		o := sees(11, Acquire, 5, "a")
		o.Attempt = "a"
		return keyed(o)
	}()}, true},
}

// The check has to go red on every kind of lie, and on nothing else.
func TestCheck(t *testing.T) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := historyOf(tt.ops...).Check(time.Minute)
			if tt.bad && !errors.Is(err, ErrViolation) {
				t.Errorf("got %v, want a violation", err)
			}
			if !tt.bad && err != nil {
				t.Errorf("got %v, want nothing wrong", err)
			}
		})
	}
}

func TestRestartForgetsKeys(t *testing.T) {
	for at, fine := range map[int]bool{9: false, 11: true, 15: false} {
		h := historyOf(keyed(grant(10, "a", 5)), op(11, Release, Done, 5), keyed(grant(13, "a", 6)))
		h.restarts = []time.Duration{time.Duration(at) * time.Second}
		if err := h.Check(time.Minute); (err == nil) != fine {
			t.Errorf("two leases for one key, restarted at %d: %v", at, err)
		}
	}
}

func TestRestartMakesLeasesLast(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		h := historyOf(grant(10, "a", 5), renewed(21, 5, 31))
		if restarted {
			h.restarts = []time.Duration{15 * time.Second}
		}
		if err := h.Check(time.Minute); (err == nil) != restarted {
			t.Errorf("renewed after the deadline, restarted %t: %v", restarted, err)
		}
	}
}

func TestOutageMakesLeasesLast(t *testing.T) {
	for _, tt := range []struct {
		from, to int
		fine     bool
	}{{5, 9, false}, {5, 11, true}, {15, 16, true}, {19, 60, true}, {21, 60, true}, {22, 60, false}} {
		h := historyOf(grant(10, "a", 5), renewed(23, 5, 33))
		h.outages = []outage{{time.Duration(tt.from) * time.Second, time.Duration(tt.to) * time.Second}}
		if err := h.Check(time.Minute); (err == nil) != tt.fine {
			t.Errorf("renewed after the deadline, an outage from %d to %d: %v", tt.from, tt.to, err)
		}
	}
}

func TestOutageForgetsKeys(t *testing.T) {
	for from, fine := range map[int]bool{5: false, 11: true, 14: false} {
		h := historyOf(keyed(grant(10, "a", 5)), op(11, Release, Done, 5), keyed(grant(13, "a", 6)))
		h.outages = []outage{{time.Duration(from) * time.Second, time.Duration(from+1) * time.Second}}
		if err := h.Check(time.Minute); (err == nil) != fine {
			t.Errorf("two leases for one key, an outage from %d: %v", from, err)
		}
	}
}

func TestOutageIsOpenUntilItIsOver(t *testing.T) {
	h := NewHistory()
	over := h.Outage()
	if h.outages[0].to != never {
		t.Errorf("it is over at %s", h.outages[0].to)
	}
	over()
	if o := h.outages[0]; o.to == never || o.to < o.from {
		t.Errorf("from %s to %s", o.from, o.to)
	}
}

func TestViolationIsExplainedAndDrawn(t *testing.T) {
	h := historyOf(grant(10, "a", 5), op(11, Release, Done, 5), sees(12, Look, 5, "a"))
	err := h.Check(time.Minute)
	for _, want := range []string{"lock l", "release 5: done", "free or unseen after 5; and none of", "look: held by 5 of a"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the explanation does not say %q: %v", want, err)
		}
	}
	picture := filepath.Join(t.TempDir(), "history.html")
	if err := h.Draw(picture, time.Minute); err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(picture)
	if err != nil || !bytes.Contains(html, []byte("look: held by 5 of a")) {
		t.Errorf("the picture does not show the operation (%d bytes, %v)", len(html), err)
	}
}

// Many looks at once can be put in very many orders, all of which have to be tried
// before the last answer is known to be wrong.
func TestUndecidedCheckSaysSo(t *testing.T) {
	ops := []*Operation{grant(10, "a", 5)}
	const looks = 60
	for range looks {
		ops = append(ops, lasting(sees(11, Look, 5, "a"), looks))
	}
	ops = append(ops, op(12, Look, Free, 0))
	if err := historyOf(ops...).Check(20 * time.Millisecond); !errors.Is(err, ErrUndecided) {
		t.Errorf("got %v, want undecided", err)
	}
}
