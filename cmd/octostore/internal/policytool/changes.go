package policytool

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Condition is a change that fails a replay.
type Condition struct {
	text          string
	recorded, now string // "*" is any other verdict
	most          int
}

// ParseCondition reads "allow→deny", "*->error", or "deny→allow>5", which tolerates five.
func ParseCondition(text string) (Condition, error) {
	wrong := fmt.Errorf(`%q is not a change; want one like "allow->deny", "*->error", or "deny->allow>5" to let five pass`, text)
	recorded, now, found := strings.Cut(strings.ReplaceAll(text, "→", "->"), "->")
	if !found {
		return Condition{}, wrong
	}
	now, number, bounded := strings.Cut(now, ">")
	c := Condition{text: text, recorded: strings.TrimSpace(recorded), now: strings.TrimSpace(now)}
	if bounded {
		n, err := strconv.Atoi(strings.TrimSpace(number))
		if err != nil || n < 0 {
			return Condition{}, wrong
		}
		c.most = n
	}
	for _, verdict := range []string{c.recorded, c.now} {
		switch verdict {
		case "allow", "deny", "error", "*":
		default:
			return Condition{}, wrong
		}
	}
	return c, nil
}

// Broken describes the conditions that a report breaks.
func (r ReplayReport) Broken(conditions []Condition) (broken []string) {
	for _, c := range conditions {
		n := 0
		for _, change := range r.Changes {
			if c.covers(change) {
				n += change.Count
			}
		}
		if n > c.most {
			broken = append(broken, fmt.Sprintf("%s: %d of %d decisions", c.text, n, r.Decisions))
		}
	}
	return broken
}

// covers reports whether the condition is about a change. A star stands for another verdict, not for
// the same one.
func (c Condition) covers(change Change) bool {
	starred := c.recorded == "*" || c.now == "*"
	return (c.recorded == "*" || c.recorded == change.Recorded) && (c.now == "*" || c.now == change.Now) &&
		(!starred || change.Recorded != change.Now)
}

// Print writes the report for people.
func (r ReplayReport) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (sha256 %s…) put to %s", r.Module, r.Digest[:16], plural(r.Decisions, "decision"))
	if r.Decisions > 0 {
		fmt.Fprintf(&b, " from %s to %s", r.First.UTC().Format(time.DateTime), r.Last.UTC().Format(time.DateTime))
	}
	b.WriteString(".\n\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.Changes) > 0 {
		fmt.Fprintln(table, "recorded\tnow\tdecisions\t")
	}
	for _, c := range r.Changes {
		fmt.Fprintf(table, "%s\t%s\t%d\t\n", c.Recorded, c.Now, c.Count)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range r.Changes {
		c.print(&b)
	}
	r.printGaps(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (c Change) print(b *strings.Builder) {
	if len(c.Examples) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s→%s, such as\n", c.Recorded, c.Now)
	for _, e := range c.Examples {
		who := e.Account
		if e.Holder != "" {
			who = e.Holder + "@" + who
		}
		fmt.Fprintf(b, "  %s  %s  %s  record %d", e.Time.UTC().Format(time.DateTime), e.Name, who, e.Seq)
		if e.Was != "" {
			fmt.Fprintf(b, "  was %q", e.Was)
		}
		if e.Reason != "" {
			fmt.Fprintf(b, "  now %q", e.Reason)
		}
		b.WriteByte('\n')
	}
}

// printGaps lists what the audit log does not have.
func (r ReplayReport) printGaps(b *strings.Builder) {
	b.WriteString("\nThe journal has the ttl that was given, not the one that was asked for. It does not have wait_ms,\n" +
		"queue.length, account.held, and of refused requests who held the lock: these were absent.\n")
	for _, a := range r.Asked {
		fmt.Fprintf(b, "The policy asked for %s in %s; there a server may hear another answer.\n", a.Key, plural(a.Decisions, "decision"))
	}
	if r.Unjudged > 0 {
		fmt.Fprintf(b, "Left out: %s that the policy to compare with was not asked about.\n", plural(r.Unjudged, "request"))
	}
	if r.Unknown > 0 {
		fmt.Fprintf(b, "Left out: %s judged by policies that no record describes (kinds policies_loaded and stopped).\n", plural(r.Unknown, "request"))
	}
	if r.Others > 0 {
		fmt.Fprintf(b, "Left out: %s to renew or to break, since only acquires are put to it.\n", plural(r.Others, "refusal"))
	}
}
