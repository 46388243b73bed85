package lock

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestMachineDoesWhatTheModelDoes plays random scripts to the machine and to a
// model of the rules. A failure shrinks to a scenario one can read. After every line
// all invariants are checked.
func TestMachineDoesWhatTheModelDoes(t *testing.T) {
	scripts := 0
	rapid.Check(t, func(rt *rapid.T) {
		scripts++
		s, m := newStage(rt), newModel()
		var script []string
		lines := rapid.IntRange(1, 60).Draw(rt, "lines")
		now := time.Duration(0)
		for i := range lines {
			line := drawLine(rt, &now, s)
			if i == 0 {
				line = drawLimits(rt)
			}
			script = append(script, line)
			got, want := s.block(line), m.do(line)
			if rt.Failed() {
				rt.Fatalf("an invariant is broken after\n\n%s", strings.Join(script, "\n"))
			}
			if got != want {
				rt.Fatalf("the machine and the model differ after\n\n%s\n\nmachine:\n%s\nmodel:\n%s", strings.Join(script, "\n"), got, want)
			}
		}
	})
	want, err := strconv.Atoi(flag.Lookup("rapid.checks").Value.String())
	if testing.Short() {
		want /= 5 // so does rapid
	}
	if err != nil || scripts < want {
		t.Errorf("%d scripts were played, want %d (%v)", scripts, want, err)
	}
}

// drawLimits draws how many may wait, mostly few, so that places are short.
func drawLimits(rt *rapid.T) string {
	here := rapid.SampledFrom([]int{1, 2, 3, 50}).Draw(rt, "waiters of a lock")
	all := rapid.SampledFrom([]int{1, 2, 3, 4, 100}).Draw(rt, "waiters in all")
	return fmt.Sprintf("limit waiters=%d all=%d", here, all)
}

// drawLine draws one line of a script in the language of the scenario files.
func drawLine(rt *rapid.T, now *time.Duration, s *stage) string {
	who := rapid.SampledFrom([]string{"A", "B", "C", "D", "E"}).Draw(rt, "who")
	name := rapid.SampledFrom([]string{"x", "x", "x", "@y/r:57400+~/release"}).Draw(rt, "lock")
	account := rapid.SampledFrom([]string{"", "", "", " account=other"}).Draw(rt, "account")
	acted := s.actors[who]
	switch rapid.SampledFrom([]string{
		"at", "at", "acquire", "acquire", "acquire", "acquire", "acquire", "hangs", "stops", "claims", "claims",
		"declines", "renew", "release", "release", "break", "undo",
	}).Draw(rt, "verb") {
	case "at":
		*now += rapid.SampledFrom([]time.Duration{1, 400, 999, 1000, 2500, 5000, 10000, 10001}).Draw(rt, "ms") * time.Millisecond
		return fmt.Sprintf("at %s", *now)
	case "acquire":
		return drawAcquire(rt, who, name, account)
	case "hangs":
		if acted != nil && acted.acquire != nil {
			return who + " hangs up"
		}
	case "stops":
		if acted != nil && acted.acquire != nil {
			return who + " stops waiting"
		}
	case "claims":
		if acted != nil && acted.acquire != nil {
			return who + " claims"
		}
	case "declines":
		if acted != nil && acted.acquire != nil {
			return who + " declines"
		}
	case "renew":
		ttl := rapid.SampledFrom([]string{"", " ttl=1s", " ttl=20s"}).Draw(rt, "ttl")
		return fmt.Sprintf("%s renew %s%s%s", who, name, ttl, account)
	case "release":
		// Keys are per client: here also those of another one, and of no attempt.
		key := rapid.SampledFrom([]string{"", "", " key=k1" + who, " key=k2" + who, " key=k1A"}).Draw(rt, "key of the attempt")
		return fmt.Sprintf("%s release %s%s%s", who, name, account, key)
	case "break":
		return "ops break " + name
	case "undo":
		if acted != nil && len(acted.answers) > 0 {
			return who + rapid.SampledFrom([]string{" undo", " undo first"}).Draw(rt, "which")
		}
	}
	return drawAcquire(rt, who, name, account)
}

func drawAcquire(rt *rapid.T, who, name, account string) string {
	line := fmt.Sprintf("%s acquire %s%s ttl=%s", who, name, account, rapid.SampledFrom([]string{"1s", "5s", "10s"}).Draw(rt, "ttl"))
	if rapid.IntRange(0, 2).Draw(rt, "confirms") == 0 {
		line += " confirm=" + rapid.SampledFrom([]string{"1s", "2s", "20s"}).Draw(rt, "confirm")
	}
	if rapid.Bool().Draw(rt, "waits") {
		line += " wait=30s"
	}
	// Without a wait it must not matter. A repeat may come with another one.
	line += rapid.SampledFrom([]string{"", "", " priority=front", " priority=back"}).Draw(rt, "priority")
	if key := rapid.SampledFrom([]string{"", "", "k1", "k2"}).Draw(rt, "key"); key != "" {
		line += " differ-not key=" + key + who
		line = strings.Replace(line, " differ-not", "", 1)
	}
	if rapid.IntRange(0, 2).Draw(rt, "policies") == 0 {
		line += " ask"
	}
	return line
}
