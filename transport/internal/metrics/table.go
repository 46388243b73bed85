package metrics

import (
	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/prometheus/client_golang/prometheus"
)

// tableCollector collects the statistics of the lock table at every scrape.
type tableCollector struct {
	service *core.Service
	sizes   func() (db, wal int64)
}

// kinds are the kinds of events, in the order of the statistics.
var kinds = lock.Kinds()

func describe(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

var (
	descHeld        = describe("octostore_locks_held", "Locks that are held now.")
	descWaiters     = describe("octostore_waiters", "Requests in queues now, including places kept for absent clients.")
	descQueued      = prometheus.NewDesc("octostore_queue_waiters", "Requests in queues now by the priority that policies gave them, as octostore_waiters.", []string{"priority"}, nil)
	descLongest     = prometheus.NewDesc("octostore_queue_longest_wait_seconds", "Longest wait of the requests of this priority in queues now, 0 if there is none. Lower priorities may starve.", []string{"priority"}, nil)
	descWait        = describe("octostore_wait_seconds", "Time in the queue of the requests that were granted.")
	descHold        = describe("octostore_hold_seconds", "Time from grant to end of the leases that ended.")
	descHandover    = describe("octostore_handover_seconds", "Time from the end of a lease to the committed grant of its lock to a waiter.")
	descMargin      = describe("octostore_renew_margin_ratio", "Share of the lease that was left when it was renewed: 0 is too late.")
	descEvents      = prometheus.NewDesc("octostore_events_total", "Events by kind: changes of leases, decisions, and notices. Kinds that OCTOSTORE_AUDIT_LEVEL leaves out are not counted.", []string{"kind"}, nil)
	descCommit      = describe("octostore_commit_seconds", "Time a batch of changes took to become durable.")
	descBatch       = describe("octostore_batch_events", "Events in a batch that became durable together.")
	descFullCommits = describe("octostore_commits_without_space_total", "Batches that were refused because the disk was full.")
	descDraining    = describe("octostore_draining", "1 while new acquires are refused because the server is stopping or drained.")
	descFull        = describe("octostore_full", "1 while new acquires are refused because the disk is full.")
	descGranting    = describe("octostore_granting", "1 while new acquires can be granted: the server is neither stopping nor drained, its disk is not full, and it has not failed.")
	descServing     = describe("octostore_serving", "1 until the server fails in a way that only a new start mends.")
	descDB          = describe("octostore_database_bytes", "Size of the database file.")
	descWAL         = describe("octostore_wal_bytes", "Size of the write-ahead log.")
)

// Describe implements [prometheus.Collector].
func (c *tableCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descHeld, descWaiters, descQueued, descLongest, descWait, descHold, descHandover, descMargin, descEvents, descCommit, descBatch, descFullCommits, descDraining, descFull, descGranting, descServing, descDB, descWAL,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *tableCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	s := c.service.Stats()
	gauge(descHeld, float64(s.Held))
	gauge(descWaiters, float64(s.Waiters))
	for _, q := range s.Queues {
		ch <- prometheus.MustNewConstMetric(descQueued, prometheus.GaugeValue, float64(q.Waiters), q.Priority.String())
		ch <- prometheus.MustNewConstMetric(descLongest, prometheus.GaugeValue, q.Longest.Seconds(), q.Priority.String())
	}
	gauge(descDraining, oneIf(c.service.Draining()))
	gauge(descFull, oneIf(c.service.Full()))
	gauge(descServing, oneIf(c.service.Serving() == nil))
	gauge(descGranting, oneIf(!c.service.Draining() && !c.service.Full() && c.service.Serving() == nil))
	ch <- prometheus.MustNewConstMetric(descFullCommits, prometheus.CounterValue, float64(s.FullCommits))
	ch <- constHistogram(descWait, s.Waits)
	ch <- constHistogram(descHold, s.Holds)
	ch <- constHistogram(descHandover, s.Handovers)
	ch <- constHistogram(descMargin, s.Margins)
	for i, kind := range kinds {
		ch <- prometheus.MustNewConstMetric(descEvents, prometheus.CounterValue, float64(s.Events[i]), string(kind))
	}
	ch <- constHistogram(descCommit, s.Commits)
	ch <- constHistogram(descBatch, s.Batches)
	if c.sizes != nil {
		db, wal := c.sizes()
		gauge(descDB, float64(db))
		gauge(descWAL, float64(wal))
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// constHistogram returns a histogram with cumulative buckets, as Prometheus wants them.
func constHistogram(d *prometheus.Desc, h table.Histogram) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.Bounds))
	var n uint64
	for i, bound := range h.Bounds {
		n += h.Counts[i]
		buckets[bound] = n
	}
	return prometheus.MustNewConstHistogram(d, h.Count(), h.Sum, buckets)
}
