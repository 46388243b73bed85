package clustertool

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/octostore/octostore/transport/api"
)

var at = time.Date(2026, 11, 28, 7, 0, 0, 0, time.UTC)

func three() api.Cluster {
	return api.Cluster{
		Node:    "n2",
		Serving: api.Term{Node: "n1", URL: "http://n1:3000", Term: 57, Since: at},
		Nodes: []api.Node{
			{Name: "n1", URL: "http://n1:3000", Version: "v1", Policies: "0123456789abcdef", Since: at, Serving: true},
			{Name: "n2", URL: "http://n2:3000", Version: "v1", Policies: "0123456789abcdef", Since: at},
			{Name: "n3", URL: "http://n3:3000", Version: "v1", Policies: "0123456789abcdef", Since: at},
		},
		Takes: api.Takes{Count: 1, WithinMS: 60_000},
	}
}

func TestShowClusterTellsWhoServes(t *testing.T) {
	var out strings.Builder
	if err := Show(&out, three(), at.Add(3*time.Minute)); err != nil {
		t.Fatal(err)
	}
	const want = `Node n1 serves since 2026-11-28 07:00:00 (3m), in term 57.

NODE  STATE     URL             VERSION  POLICIES      JOINED
n1    serves    http://n1:3000  v1       0123456789ab  2026-11-28 07:00:00
n2    forwards  http://n2:3000  v1       0123456789ab  2026-11-28 07:00:00
n3    forwards  http://n3:3000  v1       0123456789ab  2026-11-28 07:00:00
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestShowClusterWarns(t *testing.T) {
	for want, change := range map[string]func(*api.Cluster){
		"other policies are loaded on n3 than on n1": func(c *api.Cluster) { c.Nodes[2].PoliciesDiffer = true },
		"nodes took the lock table 3 times within":   func(c *api.Cluster) { c.Takes.Count = 3 },
		"the nodes run different versions":           func(c *api.Cluster) { c.Nodes[1].Version = "v2" },
		"there is one node":                          func(c *api.Cluster) { c.Nodes = c.Nodes[:1] },
	} {
		c := three()
		change(&c)
		if got := Warnings(c); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	if got := Warnings(three()); len(got) > 0 {
		t.Errorf("warnings about nothing: %q", got)
	}
}

// moving is a cluster whose table moves some time after it was asked to.
type moving struct {
	asked time.Time
	takes time.Duration
	to    string // empty: nobody takes it
}

func (m *moving) HandOver(context.Context, string) (api.HandOver, error) {
	m.asked = time.Now()
	return api.HandOver{From: "n1", Term: 57, Others: 2}, nil
}

func (m *moving) Cluster(context.Context) (api.Cluster, error) {
	switch c := three(); {
	case time.Since(m.asked) < m.takes/2:
		return c, nil
	case time.Since(m.asked) < m.takes:
		return c, errors.New("moved")
	default:
		c.Serving = api.Term{Node: m.to, Term: 60}
		return c, nil
	}
}

func TestHandOverWaitsForTheNextNode(t *testing.T) {
	for to, want := range map[string]string{
		"n2": "n1 handed over to n2, in term 60, within ",
		"n1": "n1 serves again, in term 60: no other node took over",
	} {
		synctest.Test(t, func(t *testing.T) {
			var out strings.Builder
			if err := HandOver(t.Context(), &out, &moving{takes: 300 * time.Millisecond, to: to}, ""); err != nil || !strings.HasPrefix(out.String(), want) {
				t.Errorf("got %q, %v; want %s", out.String(), err, want)
			}
		})
	}
}

func TestHandOverSaysThatNobodyServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		if err := HandOver(t.Context(), &out, &moving{takes: time.Second}, ""); err == nil || !strings.Contains(err.Error(), "no node was seen to serve") {
			t.Errorf("got %v", err)
		}
	})
}
