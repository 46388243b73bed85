package transport

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/transport/api"
)

// nodes are a cluster for tests.
type nodes struct {
	state    ClusterState
	err      error
	handOver atomic.Int32
}

func (n *nodes) Stats() ClusterStats {
	return ClusterStats{
		Term: 7, Serving: true, ValidFor: 9500 * time.Millisecond, PoliciesDiffer: true, Forwarded: 5, Forwarding: 2,
		RoundTrips: 100, Retries: 3, UnknownOutcomes: 1, Quota: 2 << 30, Used: 1 << 20, Alarm: true,
	}
}

func (n *nodes) State(context.Context) (ClusterState, error) { return n.state, n.err }

func (n *nodes) HandOver() { n.handOver.Add(1) }

// threeNodes has the second of three nodes serve, and the third with other policies.
func threeNodes() *nodes {
	at := time.Now().Add(-2 * time.Hour)
	node := func(name, policies string) api.Node {
		return api.Node{Name: name, URL: "http://" + name + ":3000", Version: "1", Policies: policies, Since: at}
	}
	return &nodes{state: ClusterState{
		Node: "b", Serving: api.Term{Node: "b", URL: "http://b:3000", Term: 7, Since: at},
		Nodes: []api.Node{node("a", "x"), node("b", "x"), node("c", "y")},
		Takes: []time.Time{at, time.Now().Add(-30 * time.Minute), time.Now().Add(-2 * time.Second), time.Now()},
	}}
}

func TestClusterIsShownToAdministrators(t *testing.T) {
	s := newServer(t, setup{cluster: threeNodes()})
	got := decode[api.Cluster](s.do(t, "GET /v1/cluster").want(200))
	if got.Node != "b" || got.Serving.Term != 7 || len(got.Nodes) != 3 {
		t.Fatalf("it shows %+v", got)
	}
	for _, n := range got.Nodes {
		if n.Serving != (n.Name == "b") || n.PoliciesDiffer != (n.Name == "c") {
			t.Errorf("it shows %+v", n)
		}
	}
	if got.Takes != (api.Takes{Count: 2, WithinMS: 60_000}) {
		t.Errorf("without leases it counts %+v", got.Takes)
	}
	s.do(t, "POST /v1/locks/a/acquire?ttl=1h").want(200)
	if got := decode[api.Cluster](s.do(t, "GET /v1/cluster").want(200)); got.Takes != (api.Takes{Count: 3, WithinMS: 3_600_000}) {
		t.Errorf("with a lease of an hour it counts %+v", got.Takes)
	}
}

func TestClusterOfOneServerIsNotThere(t *testing.T) {
	s := newServer(t, setup{})
	s.do(t, "GET /v1/cluster").want(404, api.CodeNotFound)
	s.do(t, "POST /v1/cluster/hand-over").want(404, api.CodeNotFound)
	if body := string(s.do(t, "GET /metrics").want(200).body); strings.Contains(body, "octostore_cluster") || strings.Contains(body, "octostore_etcd") {
		t.Error("its metrics are there all the same")
	}
}

func TestClusterTakesTheScopeAdmin(t *testing.T) {
	s, alice, _ := teams(t)
	s.cluster = threeNodes()
	s.do(t, "GET /v1/cluster", alice).want(403, api.CodeForbidden)
	s.do(t, "POST /v1/cluster/hand-over", alice).want(403, api.CodeForbidden)
}

// A hand-over is on record before it begins, and it begins after the answer.
func TestClusterHandOverIsRecorded(t *testing.T) {
	n := threeNodes()
	s := newServer(t, setup{cluster: n})
	got := decode[api.HandOver](s.do(t, "POST /v1/cluster/hand-over", jsonBody(`{"reason":"upgrade"}`)).want(200))
	if got != (api.HandOver{From: "b", Term: 7, Others: 2}) || n.handOver.Load() != 1 {
		t.Errorf("answered %+v, %d times handed over", got, n.handOver.Load())
	}
	want := `"kind":"drained","reason":"upgrade","by":"local"`
	if audit := string(s.do(t, "GET /v1/audit?kind=drained").want(200).body); !strings.Contains(audit, want) || !strings.Contains(audit, core.HandOverCause) {
		t.Errorf("the audit log has %s", audit)
	}
}

// The view of the server has the nodes, and does without them if they are not known.
func TestClusterIsPartOfTheServer(t *testing.T) {
	n := threeNodes()
	s := newServer(t, setup{cluster: n})
	if got := decode[api.Server](s.do(t, "GET /v1/server").want(200)); got.Cluster == nil || len(got.Cluster.Nodes) != 3 {
		t.Errorf("it shows %+v", got.Cluster)
	}
	n.err = errors.New("etcd does not answer")
	if got := decode[api.Server](s.do(t, "GET /v1/server").want(200)); got.Cluster != nil {
		t.Errorf("it shows %+v", got.Cluster)
	}
}

// What is not on record does not happen.
func TestClusterThatDoesNotAnswerHandsNothingOver(t *testing.T) {
	n := threeNodes()
	n.err = errors.New("etcd does not answer")
	s := newServer(t, setup{cluster: n})
	s.do(t, "GET /v1/cluster").want(500)
	s.do(t, "POST /v1/cluster/hand-over").want(500)
	n.err = nil
	all := n.state.Nodes
	n.state.Nodes = all[1:2]
	if got := decode[api.HandOver](s.do(t, "POST /v1/cluster/hand-over").want(200)); got.Others != 0 {
		t.Errorf("a node that is alone answers %+v", got)
	}
	if audit := string(s.do(t, "GET /v1/audit?kind=drained").want(200).body); strings.Contains(audit, `"kind":"drained"`) {
		t.Errorf("a node that is alone has recorded %s", audit)
	}
	n.state.Nodes = all
	s.table.Depose()
	s.do(t, "POST /v1/cluster/hand-over").want(503, api.CodeMoved)
	if n.handOver.Load() != 0 {
		t.Error("it was handed over")
	}
}

func TestClusterMetrics(t *testing.T) {
	got := newServer(t, setup{cluster: threeNodes()}).scrape(t)
	for name, want := range map[string]string{
		"octostore_cluster_term": "7", "octostore_cluster_serving": "1", "octostore_cluster_valid_seconds": "9.5",
		"octostore_cluster_policies_differ": "1", "octostore_forwarded_requests_total": "5",
		"octostore_forwarded_requests_in_flight": "2", "octostore_etcd_requests_total": "100", "octostore_etcd_retries_total": "3",
		"octostore_etcd_unknown_outcomes_total": "1", "octostore_etcd_quota_bytes": "2.147483648e+09",
		"octostore_etcd_used_bytes": "1.048576e+06", "octostore_etcd_alarm": "1",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

// docs/monitoring.md has every series of a cluster.
func TestClusterMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/monitoring.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := string(newServer(t, setup{cluster: threeNodes()}).do(t, "GET /metrics").want(200).body)
	series := regexp.MustCompile(`(?m)^# HELP (octostore_(?:cluster|forwarded|etcd)_\S+) (.+)\n# TYPE \S+ (\S+)$`).FindAllStringSubmatch(shown, -1)
	if len(series) != 12 {
		t.Errorf("%d series, want 12", len(series))
	}
	for _, one := range series {
		if row := "| `" + one[1] + "` | " + one[3] + " | " + one[2] + " |\n"; !strings.Contains(string(page), row) {
			t.Errorf("docs/monitoring.md lacks %s", row)
		}
	}
}
