package lock

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected output of scenario files")

// TestScenarios runs the files of testdata/scenario. A file is a list of blocks:
// commands, a line "----", and what they lead to, up to an empty line. The commands
// of one block arrive together and are one batch. See stage.run for the commands.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenario/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScenario(t, file) })
	}
}

func runScenario(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimRight(string(text), "\n"), "\n\n") {
		input, _, isBlock := strings.Cut(block, "----")
		if !isBlock {
			fmt.Fprintf(&out, "%s\n\n", block)
			continue
		}
		fmt.Fprintf(&out, "%s----\n%s\n", input, s.block(input))
	}
	got := strings.TrimRight(out.String(), "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != string(text) {
		t.Errorf("%s differs; if this is right, run go test ./core/lock -run Scenarios -update\n%s", file, firstDifference(string(text), got))
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\n want: %s\n  got: %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("want %d lines, got %d", len(w), len(g))
}

// stage is a machine with the loop, the store and the clients played by the test.
// Time starts at the epoch, so sequence numbers start at 1.
type stage struct {
	t       reporter
	m       *Machine
	cfg     Rules
	now     time.Time
	rows    map[Name]Row
	head    Seq
	lastSeq Seq
	actors  map[string]*client
	names   map[*Command]string

	left     []Departure
	commands []*Command
	diskFull bool
	out      strings.Builder
}

// client is one named actor: its last acquire, what it was given, and the answers with a
// lease that may still be found to be lost, oldest first.
type client struct {
	acquire *Command
	grant   Reply
	answers []Reply
}

// lost returns the newest answer, or the oldest, which is lost.
func (c *client) lost(oldest bool) Reply {
	at := len(c.answers) - 1
	if oldest {
		at = 0
	}
	lost := c.answers[at]
	c.answers = slices.Delete(c.answers, at, at+1)
	return lost
}

func newStage(t reporter) *stage {
	s := &stage{t: t, now: time.Unix(0, 0), rows: map[Name]Row{}, actors: map[string]*client{}, names: map[*Command]string{}}
	s.cfg = Rules{MaxWaiters: 100, MaxWaitersPerLock: 50}
	s.restart()
	return s
}

func (s *stage) restart() {
	snap := Snapshot{Head: Head{Seq: s.head}}
	for _, r := range s.rows {
		snap.Leases = append(snap.Leases, Loaded{Lease: *r.Lease, Attempt: r.Attempt, Remaining: r.Lease.ExpiresAt.Sub(s.now)})
	}
	slices.SortFunc(snap.Leases, func(a, b Loaded) int { return strings.Compare(string(a.Lease.Name), string(b.Lease.Name)) })
	s.m = NewMachine(s.cfg, snap, s.now)
	s.m.Finish()
}

func (s *stage) block(input string) string {
	s.out.Reset()
	for _, line := range strings.Split(strings.TrimSpace(input), "\n") {
		if line, _, _ = strings.Cut(line, "#"); strings.TrimSpace(line) != "" {
			s.run(strings.Fields(line))
		}
	}
	for first := true; first || len(s.commands) > 0 || len(s.left) > 0; first = false {
		s.batch()
	}
	return s.out.String()
}

// run adds one command: "at 5s", "disk full", "disk ok", "restart", "drain",
// "limit waiters=2 account=1 level=all", "queue NAME", or "WHO VERB …" with
//
//	A acquire NAME [ttl=10s] [confirm=2s] [wait=30s] [priority=front] [key=K] [account=a] [ask] [lie=…]
//	A hangs up · A stops waiting · A claims · A declines
//	A renew NAME [ttl=…] [token=N] [account=a] [onlyconfirm] · A release NAME [token=N | key=K] [account=a]
//	A break NAME [token=N] · A take NAME [token=N] [ttl=10s] [confirm=2s] [account=a]
//	A undo (the newest answer with a lease is lost) · A undo first (the oldest is)
func (s *stage) run(f []string) {
	switch f[0] {
	case "at":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.now = time.Unix(0, 0).Add(d)
	case "disk":
		s.diskFull = f[1] == "full"
	case "restart":
		s.restart()
	case "limit":
		s.limit(options(f[1:]))
	case "drain":
		s.put("server", newCommand(DoDrain, "", Origin{}))
	case "queue":
		c := newCommand(DoQueue, Name(f[1]), Origin{})
		c.Limit = 100
		s.put("queue", c)
	default:
		s.clientSays(f[0], f[1], f[2:])
	}
}

func (s *stage) limit(o map[string]string) {
	number := func(k string, into *int) {
		if o[k] != "" {
			*into, _ = strconv.Atoi(o[k])
		}
	}
	number("waiters", &s.cfg.MaxWaitersPerLock)
	number("all", &s.cfg.MaxWaiters)
	number("account", &s.cfg.MaxPerAccount)
	number("accountwaiters", &s.cfg.MaxWaitersPerAccount)
	s.cfg.Unlimited = o["unlimited"]
	if o["level"] == "all" {
		s.cfg.Level = All
	}
	s.restart()
	number("batch", &s.m.maxEvents)
}

func options(words []string) map[string]string {
	o := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		o[k] = v
	}
	return o
}

func (s *stage) put(who string, c *Command) {
	c.At = s.now
	s.names[c] = who
	s.commands = append(s.commands, c)
}

func (s *stage) clientSays(who, word string, rest []string) {
	if s.actors[who] == nil {
		s.actors[who] = &client{}
	}
	a := s.actors[who]
	switch word {
	case "acquire":
		s.acquires(who, a, rest)
	case "hangs":
		s.left = append(s.left, Departure{Command: a.acquire, Why: HungUp})
	case "stops":
		s.left = append(s.left, Departure{Command: a.acquire, Why: WaitOver})
	case "declines":
		s.left = append(s.left, Departure{Command: a.acquire, Why: Declined, Cause: errors.New("denied at its turn")})
	case "claims":
		s.put("", &Command{Verb: DoClaim, Name: a.acquire.Name, Called: a.acquire})
	case "undo":
		lost := a.lost(slices.Contains(rest, "first"))
		s.put("", &Command{Verb: DoUndo, Name: lost.Lease.Name, Token: lost.Lease.Token})
	case "renew", "release", "break", "take":
		s.holds(who, a, word, rest)
	default:
		s.t.Fatalf("unknown verb %q", word)
	}
}

func (s *stage) acquires(who string, a *client, rest []string) {
	o := options(rest[1:])
	ttl, wait := 10*time.Second, time.Duration(0)
	if o["ttl"] != "" {
		ttl, _ = time.ParseDuration(o["ttl"])
	}
	if o["wait"] != "" {
		wait, _ = time.ParseDuration(o["wait"])
	}
	account := o["account"]
	if account == "" {
		account = "acme"
	}
	c := newCommand(DoAcquire, Name(rest[0]), Origin{Actor: Actor{Account: account}})
	c.Acquire = &Acquisition{Origin: c.Origin, Name: c.Name, Holder: who, TTL: ttl, ConfirmWithin: span(o["confirm"]), Wait: wait, Priority: priorityOf(o)}
	if k := o["key"]; k != "" {
		c.Acquire.Attempt = attemptOf(s.t, k, ttl, span(o["confirm"]), who)
		if _, other := o["differs"]; other {
			c.Acquire.Attempt.Params[0]++
		}
	}
	if _, ask := o["ask"]; ask {
		c.Rechecks = true
	}
	a.acquire = c
	s.put(who, c)
}

// attemptOf returns the attempt of a key as the files write it.
func attemptOf(t reporter, key string, ttl, confirm time.Duration, who string) Attempt {
	attempt, err := NewAttempt("key-0123456789-"+key, ttl, confirm, who, nil)
	if err != nil {
		t.Fatal(err)
	}
	return attempt
}

// priorityOf is Normal for no text.
func priorityOf(o map[string]string) Priority {
	return map[string]Priority{"front": Front, "back": Back}[o["priority"]]
}

// span is 0 for no text.
func span(text string) time.Duration {
	d, _ := time.ParseDuration(text)
	return d
}

func (s *stage) holds(who string, a *client, word string, rest []string) {
	o := options(rest[1:])
	account := o["account"]
	if account == "" {
		account = "acme"
	}
	c := newCommand(map[string]Verb{"renew": DoRenew, "release": DoRelease, "break": DoBreak, "take": DoBreak}[word], Name(rest[0]), Origin{Actor: Actor{Account: account}})
	c.TTL = span(o["ttl"])
	_, c.OnlyConfirm = o["onlyconfirm"]
	switch {
	case o["token"] != "":
		n, _ := strconv.ParseUint(o["token"], 10, 64)
		c.Token = Token(n)
	case word != "break" && word != "take" && a.grant.Lease != nil:
		c.Token = a.grant.Lease.Token
	}
	if key := o["key"]; key != "" {
		c.Acquire = &Acquisition{Origin: c.Origin, Attempt: attemptOf(s.t, key, 0, 0, who)}
	}
	if word == "take" {
		if c.TTL == 0 {
			c.TTL = 10 * time.Second
		}
		c.Acquire = &Acquisition{Origin: c.Origin, Name: c.Name, Holder: who, TTL: c.TTL, ConfirmWithin: span(o["confirm"])}
	}
	s.put(who, c)
}

// batch plays one turn of the loop.
func (s *stage) batch() {
	gone, taken := s.m.decide(s.now, s.left, s.commands)
	s.left = s.left[gone:]
	s.commands = s.commands[taken:]
	if s.diskFull && len(s.m.batch.events) > 0 {
		s.m.TakeBack()
		s.say("refused: %d events taken back", len(s.m.batch.events))
		s.answers(ErrFull)
	} else {
		s.commit()
		s.m.Accept()
		s.answers(nil)
	}
	s.m.Finish()
	checkInvariants(s.t, s.m)
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(&s.out, format+"\n", args...) }

func (s *stage) commit() {
	for i := range s.m.batch.events {
		e := &s.m.batch.events[i]
		if e.Seq <= s.lastSeq {
			s.t.Errorf("invariant 2: event %d after %d", e.Seq, s.lastSeq)
		}
		s.lastSeq, s.head = e.Seq, e.Seq
		s.say("%s", describe(e))
	}
	for _, r := range s.m.Rows(nil) {
		if r.Lease == nil {
			delete(s.rows, r.Name)
			continue
		}
		s.rows[r.Name] = r
	}
}

func describe(e *Event) string {
	if e.Lease == nil {
		return fmt.Sprintf("%d %s", e.Seq, e.Kind)
	}
	text := fmt.Sprintf("%d %s %s", e.Seq, e.Kind, e.Lease.Name)
	if e.Lease.Holder != "" {
		text += " " + e.Lease.Holder
	}
	switch {
	case e.Kind == Granted || e.Kind == Renewed:
		text += " until " + clock(e.Lease.ExpiresAt)
		if e.Lease.ConfirmWithin > 0 {
			text += " unless confirmed"
		}
		if e.Priority != Normal {
			text += ", from the " + e.Priority.String()
		}
	case e.Kind.Ends():
		text += fmt.Sprintf(" (%d)", e.Lease.Token)
	}
	if cause, _, _ := strings.Cut(e.Cause, ":"); cause != "" {
		text += ", " + cause
	}
	return text
}

func clock(t time.Time) string { return t.Sub(time.Unix(0, 0)).String() }

func (s *stage) answers(err error) {
	for to, told := range s.m.Replies(err) {
		who := s.names[to]
		if c := s.actors[who]; c != nil && told.Lease != nil {
			c.grant = told
			if told.Undoable {
				c.answers = append(c.answers, told)
			}
		}
		s.say("%s: %s", who, spell(told))
	}
}

func spell(r Reply) string {
	switch {
	case r.Err != nil:
		return short(r.Err)
	case r.Turn != nil:
		return "your turn"
	case r.Lease != nil && r.Repeat:
		return fmt.Sprintf("granted %d again", r.Lease.Token)
	case r.Lease != nil && r.Waited > 0:
		return fmt.Sprintf("granted %d after %s", r.Lease.Token, r.Waited)
	case r.Lease != nil:
		return fmt.Sprintf("has %d until %s", r.Lease.Token, clock(r.Lease.ExpiresAt))
	case r.Ended.Lease != nil:
		return fmt.Sprintf("ended %d after %s", r.Ended.Lease.Token, r.Ended.Held)
	case r.Total > 0:
		var places []string
		for _, w := range r.Queue {
			place := fmt.Sprintf("%d %s", w.Position, w.Holder)
			if w.Priority != Normal {
				place += " " + w.Priority.String()
			}
			places = append(places, place)
		}
		return fmt.Sprintf("%d: %s", r.Total, strings.Join(places, ", "))
	}
	return "ok"
}

func short(err error) string {
	var held *HeldError
	if errors.As(err, &held) {
		text := "promised to a waiter"
		if held.Lease != nil {
			text = "held by " + held.Lease.Holder
		}
		if held.Position > 0 {
			text += fmt.Sprintf(", place %d", held.Position)
		}
		return fmt.Sprintf("%s, %d waiting", text, held.Waiters)
	}
	for name, known := range map[string]error{
		"not held": ErrNotHeld, "token changed": ErrTokenChanged, "free": ErrFree, "superseded": ErrSuperseded,
		"attempt over": ErrAttemptOver, "key mismatch": ErrKeyMismatch, "queue full": ErrQueueFull, "quota": ErrQuota, "waits enough": ErrWaitsEnough,
		"draining": ErrDraining, "disk full": ErrFull, "gone": ErrGone, "too late": ErrTooLate,
	} {
		if errors.Is(err, known) {
			return name
		}
	}
	return err.Error()
}
