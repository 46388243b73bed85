package policytool

import (
	"fmt"
	"maps"
	"slices"

	"github.com/octostore/octostore/hooks"
)

// Answer is an outcome as the commands print it.
type Answer struct {
	Verdict    string            `json:"verdict"`
	Reason     string            `json:"reason,omitempty"` // of an error its kind
	Error      string            `json:"error,omitempty"`
	RetryAfter int64             `json:"retry_after_ms,omitempty"`
	TTL        int64             `json:"ttl_ms"`
	Wait       int64             `json:"wait_ms"`
	Priority   string            `json:"priority,omitempty"` // empty: it did not say
	Notes      map[string]string `json:"notes,omitempty"`
	Logs       []LogLine         `json:"logs,omitempty"`
	Fuel       int64             `json:"fuel"`
}

// LogLine is a line that a policy logged.
type LogLine struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

func answerOf(o hooks.Outcome) Answer {
	return Answer{
		Verdict: o.Verdict, Reason: reasonOf(o), Error: faultOf(o), RetryAfter: o.RetryAfter.Milliseconds(),
		TTL: o.TTL.Milliseconds(), Wait: o.Wait.Milliseconds(), Priority: o.Priority, Notes: noteMap(o), Logs: logLines(o.Logs), Fuel: o.Fuel,
	}
}

// reasonOf is the reason as in the audit log: the kind of an error, also for an event that comes again
// without a reason from the policy.
func reasonOf(o hooks.Outcome) string {
	if o.Fault != nil && o.Reason == "" {
		return o.FaultKind
	}
	return o.Reason
}

func faultOf(o hooks.Outcome) string {
	if o.Fault == nil {
		return ""
	}
	return o.Fault.Error()
}

// noteMap has the notes by key; of several with one key, the last.
func noteMap(o hooks.Outcome) map[string]string {
	notes := map[string]string{}
	for _, n := range o.Notes {
		notes[n.Key] = n.Value
	}
	return notes
}

func logLines(lines []hooks.LogLine) []LogLine {
	var all []LogLine
	for _, l := range lines {
		level := [...]string{"debug", "info", "warn", "error"}[max(0, min(l.Level, 3))]
		all = append(all, LogLine{level, l.Text})
	}
	return all
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// quoted shows a value in a sentence.
func quoted(v any) string {
	switch v := v.(type) {
	case nil:
		return "missing"
	case string:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}
