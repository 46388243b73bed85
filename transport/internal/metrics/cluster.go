package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Cluster are the numbers of a node that shares its lock table with others.
type Cluster struct {
	Term     int64         // of the node that serves, as last seen; 0: none does
	Serving  bool          // this node serves
	ValidFor time.Duration // how long this node may serve, unless that is extended; 0: it does not serve
	// PoliciesDiffer says that other policies are loaded here than where the lock table is served.
	PoliciesDiffer bool

	Forwarded  uint64 // requests that were sent on to the node that serves
	Forwarding int    // those that have no answer yet

	RoundTrips, Retries uint64 // requests to etcd, and those of them that were sent again
	UnknownOutcomes     uint64 // commits that etcd did not answer at first
	Quota, Used         int64  // bytes that etcd may use, and does; 0: not known
	Alarm               bool   // etcd refuses writes for lack of space
}

// clusterCollector collects the numbers at every scrape.
type clusterCollector struct{ stats func() Cluster }

var (
	descTerm      = describe("octostore_cluster_term", "Term of the node that serves the lock table, as this node sees it; 0: none serves. It grows.")
	descServes    = describe("octostore_cluster_serving", "1 if this node serves the lock table, 0 if it forwards requests.")
	descValid     = describe("octostore_cluster_valid_seconds", "How long this node may serve unless etcd extends its term; 0 if it does not serve.")
	descDiffer    = describe("octostore_cluster_policies_differ", "1 if other policies are loaded here than on the node that serves.")
	descForwarded = describe("octostore_forwarded_requests_total", "Requests that were forwarded to the node that serves.")
	descWaiting   = describe("octostore_forwarded_requests_in_flight", "Forwarded requests that have no complete answer yet.")
	descEtcd      = describe("octostore_etcd_requests_total", "Requests to etcd for the lock table, repeated ones included.")
	descRetries   = describe("octostore_etcd_retries_total", "Requests to etcd that were sent again because no answer came.")
	descUnknown   = describe("octostore_etcd_unknown_outcomes_total", "Commits that etcd did not answer at first.")
	descQuota     = describe("octostore_etcd_quota_bytes", "Largest database that etcd allows; 0: not known.")
	descUsed      = describe("octostore_etcd_used_bytes", "Bytes that etcd uses of its quota; 0: not known.")
	descAlarm     = describe("octostore_etcd_alarm", "1 while etcd refuses writes because its quota is used up.")
)

// Describe implements [prometheus.Collector].
func (clusterCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descTerm, descServes, descValid, descDiffer, descForwarded, descWaiting,
		descEtcd, descRetries, descUnknown, descQuota, descUsed, descAlarm,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c clusterCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(d, kind, v)
	}
	send(descTerm, prometheus.GaugeValue, float64(s.Term))
	send(descServes, prometheus.GaugeValue, oneIf(s.Serving))
	send(descValid, prometheus.GaugeValue, max(0, s.ValidFor.Seconds()))
	send(descDiffer, prometheus.GaugeValue, oneIf(s.PoliciesDiffer))
	send(descForwarded, prometheus.CounterValue, float64(s.Forwarded))
	send(descWaiting, prometheus.GaugeValue, float64(s.Forwarding))
	send(descEtcd, prometheus.CounterValue, float64(s.RoundTrips))
	send(descRetries, prometheus.CounterValue, float64(s.Retries))
	send(descUnknown, prometheus.CounterValue, float64(s.UnknownOutcomes))
	send(descQuota, prometheus.GaugeValue, float64(s.Quota))
	send(descUsed, prometheus.GaugeValue, float64(s.Used))
	send(descAlarm, prometheus.GaugeValue, oneIf(s.Alarm))
}
