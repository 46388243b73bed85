package record_test

import (
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// A grant is on record with the class it waited in, and each verdict with what its policy
// asked for. What is normal, or not said, takes no space, as in records of before.
func TestPriorityIsOnRecord(t *testing.T) {
	event := func(p lock.Priority, said string) lock.Event {
		return lock.Event{
			Seq: 7, Time: time.Unix(0, 0), Kind: lock.Granted, Lease: &lock.Lease{Name: "x", Token: 7, Account: "acme", TTL: time.Second},
			Waited: time.Second, Priority: p, Actor: lock.Actor{Account: "acme"},
			Verdicts: []lock.Verdict{{Policy: "lane", At: "request", Mode: "enforce", Verdict: "allow", Priority: said, Fuel: 5}},
		}
	}
	for _, tt := range []struct {
		event          lock.Event
		members        string // all of them, in the line
		priority, said string // as they are read back
	}{
		{event(lock.Front, "front"), `"waited_ms":1000,"priority":"front","verdicts":[{"policy":"lane","at":"request","mode":"enforce","verdict":"allow","priority":"front","fuel":5}]`, "front", "front"},
		{event(lock.Back, "normal"), `"waited_ms":1000,"priority":"back","verdicts":[{"policy":"lane","at":"request","mode":"enforce","verdict":"allow","priority":"normal","fuel":5}]`, "back", "normal"},
		{event(lock.Normal, ""), `"waited_ms":1000,"verdicts":[{"policy":"lane","at":"request","mode":"enforce","verdict":"allow","fuel":5}]`, "", ""},
	} {
		b := &lock.Batch{Events: []lock.Event{tt.event}}
		record.Seal(b, nil)
		line := strings.TrimSpace(string(b.Segment.Bytes))
		if !strings.Contains(line, tt.members) {
			t.Errorf(" got %s\nwant %s in it", line, tt.members)
		}
		r, err := record.Parse([]byte(line))
		if err != nil || r.Priority != tt.priority || len(r.Verdicts) != 1 || r.Verdicts[0].Priority != tt.said {
			t.Errorf("read back: %+v, %v", r, err)
		}
	}
}
