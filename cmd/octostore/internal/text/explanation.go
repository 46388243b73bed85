package text

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/octostore/octostore/transport/api"
)

// Explanation is the answer of a server's policies to a request.
type Explanation api.Explanation

// Print writes the outcome, and under it what each policy said.
func (e Explanation) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", e.request(), e.summary())
	for _, p := range e.Policies {
		who := fmt.Sprintf("  %s (%s)", p.Policy, p.Mode)
		if !p.Asked {
			fmt.Fprintf(&b, "%s: not asked, %s\n", who, p.Why)
			continue
		}
		fmt.Fprintf(&b, "%s: %s, %s, %d fuel\n", who, p.Verdict, p.Why, p.Fuel)
		for _, line := range saidLines(p.Said, e.Hook) {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// request names what was asked about, an acquire by its lock alone.
func (e Explanation) request() string {
	text := fmt.Sprintf("%s for %s", e.Name, e.Account)
	switch e.Hook {
	case "renew":
		text = "renewal of " + text
	case "break":
		text = "break of " + text
	}
	if e.At != nil {
		text += " at " + e.At.Format(time.RFC3339)
	}
	return text
}

func (e Explanation) summary() string {
	switch {
	case len(e.Policies) == 0:
		return "allow, since there are no policies"
	case e.Verdict == "deny":
		return fmt.Sprintf("deny by %s: %s", e.By, e.Reason)
	case e.Verdict == "error" && e.Hook == "renew":
		return fmt.Sprintf("allow, although %s could not answer: a lease is not taken away for that", e.By)
	case e.Verdict == "error" && e.Hook == "break":
		return fmt.Sprintf("no break, since %s could not answer", e.By)
	case e.Verdict == "error":
		return fmt.Sprintf("no lock, since %s could not answer", e.By)
	}
	if e.Priority != "" {
		return e.Verdict + ", priority " + e.Priority
	}
	return e.Verdict
}

// saidLines is all a policy said, a line each.
func saidLines(s *api.Said, hook string) (lines []string) {
	if s.Reason != "" {
		lines = append(lines, s.Reason)
	}
	if s.Error != "" {
		lines = append(lines, s.Error)
	}
	if s.RetryAfter > 0 {
		lines = append(lines, "to be asked again in "+(time.Duration(s.RetryAfter)*time.Millisecond).String())
	}
	if s.Verdict == "allow" && (hook == "" || hook == "acquire") { // caps change an acquire only
		lines = append(lines, fmt.Sprintf("leaves a ttl of %s, a wait of %s",
			time.Duration(s.TTL)*time.Millisecond, time.Duration(s.Wait)*time.Millisecond))
	}
	if s.Priority != "" {
		lines = append(lines, "priority "+s.Priority)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Notes)) {
		lines = append(lines, "note "+key+": "+s.Notes[key])
	}
	for _, text := range s.Logs {
		lines = append(lines, "log: "+text)
	}
	return lines
}
