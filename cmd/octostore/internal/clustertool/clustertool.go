// Package clustertool shows the nodes that share a lock table, and has the table move from one
// to another.
package clustertool

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/transport/api"
)

// manyTakes in the time of the longest ttl get a warning: each of them lets all leases begin
// again.
const manyTakes = 3

// digestShown is how much of a digest is enough to tell policies apart.
const digestShown = 12

// Show prints the nodes, which of them serves since when, and what an operator should look at.
func Show(w io.Writer, c api.Cluster, now time.Time) error {
	if c.Serving.Node == "" {
		fmt.Fprintf(w, "No node serves.\n\n")
	} else {
		fmt.Fprintf(w, "Node %s serves since %s (%s), in term %d.\n\n",
			c.Serving.Node, c.Serving.Since.UTC().Format("2006-01-02 15:04:05"),
			text.Span(max(0, now.Sub(c.Serving.Since)).Milliseconds()), c.Serving.Term)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tSTATE\tURL\tVERSION\tPOLICIES\tJOINED")
	for _, n := range c.Nodes {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, state(n), n.URL, n.Version, digest(n), n.Since.UTC().Format("2006-01-02 15:04:05"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, warning := range Warnings(c) {
		if _, err := fmt.Fprintf(w, "\nWarning: %s\n", warning); err != nil {
			return err
		}
	}
	return nil
}

func state(n api.Node) string {
	if n.Serving {
		return "serves"
	}
	return "forwards"
}

func digest(n api.Node) string {
	shown := cmp.Or(n.Policies[:min(digestShown, len(n.Policies))], "none")
	if n.PoliciesDiffer {
		shown += " (differ)"
	}
	return shown
}

// Warnings returns what an operator should look at, as sentences.
func Warnings(c api.Cluster) (all []string) {
	var differ []string
	versions := map[string]bool{}
	for _, n := range c.Nodes {
		versions[n.Version] = true
		if n.PoliciesDiffer {
			differ = append(differ, n.Name)
		}
	}
	if len(differ) > 0 {
		all = append(all, fmt.Sprintf(
			"other policies are loaded on %s than on %s, which serves: if the lock table moves there, the rules change.",
			strings.Join(differ, ", "), c.Serving.Node,
		))
	}
	if c.Takes.Count >= manyTakes {
		all = append(all, fmt.Sprintf(
			"nodes took the lock table %d times within %s. Each time all leases begin again, "+
				"so locks may stay held for long after their holders are gone.",
			c.Takes.Count, text.Span(c.Takes.WithinMS),
		))
	}
	if len(versions) > 1 {
		all = append(all, "the nodes run different versions.")
	}
	if len(c.Nodes) == 1 {
		all = append(all, "there is one node, so none takes over if it fails.")
	}
	return all
}

// Client asks the server.
type Client interface {
	Cluster(ctx context.Context) (api.Cluster, error)
	HandOver(ctx context.Context, reason string) (api.HandOver, error)
}

// Times of a hand-over.
const (
	movePatience = 30 * time.Second // for another node to serve
	movePause    = 100 * time.Millisecond
)

// HandOver has the serving node give the lock table to another one, waits until a node serves it
// in a new term, and says on w which.
func HandOver(ctx context.Context, w io.Writer, c Client, reason string) error {
	began := time.Now()
	h, err := c.HandOver(ctx, reason)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, movePatience)
	defer cancel()
	for {
		now, err := c.Cluster(ctx)
		if err == nil && now.Serving.Node != "" && now.Serving.Term != h.Term {
			return tellMove(w, h, now.Serving, time.Since(began))
		}
		if sleep.For(ctx, movePause) != nil {
			return fmt.Errorf("node %s has handed over, but no node was seen to serve within %s", h.From, movePatience)
		}
	}
}

func tellMove(w io.Writer, h api.HandOver, to api.Term, took time.Duration) error {
	if to.Node == h.From {
		_, err := fmt.Fprintf(w, "%s serves again, in term %d: no other node took over\n", to.Node, to.Term)
		return err
	}
	_, err := fmt.Fprintf(w, "%s handed over to %s, in term %d, within %d ms\n", h.From, to.Node, to.Term, took.Milliseconds())
	return err
}
