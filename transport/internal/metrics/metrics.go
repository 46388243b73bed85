// Package metrics shows what a server does as Prometheus metrics: its requests, the lock
// table, connections, limits and policies.
//
// No label has a value that a client chose: neither lock names nor holders nor accounts
// appear.
package metrics

import (
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/problem"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// OK is the code under which successful requests are counted.
const OK api.Code = "ok"

// ProcessConfig has the sources of the metrics of a process. All functions are called at every
// scrape.
type ProcessConfig struct {
	Version     string                      // of the program
	Connections func() int                  // to the main listener
	Evicted     func(listener string) int64 // connections to a listener that were evicted
	Listeners   []string                    // names of the listeners
	Limits      []string                    // names of the limits

	CertificateExpires func() time.Time // nil: there is none
	Cluster            func() Cluster   // nil: the process shares its lock table with no other
}

// Process are the metrics of a process, over all lock tables that it serves one after the other.
// They are safe for use by many goroutines.
type Process struct {
	// Handler serves these metrics alone, for a process that serves no lock table.
	Handler http.Handler

	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	panics   prometheus.Counter
	limited  *prometheus.CounterVec
}

// requestBounds reach from an answer out of memory to the longest wait.
var requestBounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30, 60, 120, 300, 600}

// NewProcess returns metrics that begin at zero.
func NewProcess(cfg ProcessConfig) *Process {
	p := &Process{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "octostore_http_requests_total",
			Help: "Requests by route and by code: ok, the code of the problem they were answered with, or gone if the client left first.",
		}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "octostore_http_request_seconds",
			Help:    "Time from the arrival of a request to its answer, the wait for a lock included.",
			Buckets: requestBounds,
		}, []string{"route"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "octostore_http_panics_total",
			Help: "Handlers that panicked.",
		}),
		limited: counters("limit", cfg.Limits, prometheus.CounterOpts{
			Name: "octostore_limited_total",
			Help: "Requests that were answered rate_limited, by the limit they met.",
		}),
	}
	p.registry.MustRegister(
		p.requests, p.seconds, p.panics, p.limited,
		gauge("octostore_http_connections", "Connections to the main listener that are open.", cfg.Connections),
		timestamp("octostore_certificate_expires_timestamp_seconds",
			"When the TLS certificate in use ends, in seconds since 1970; 0 without one.", cfg.CertificateExpires),
		buildInfo(cfg.Version),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, on := range cfg.Listeners {
		p.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name:        "octostore_http_connections_cut_total",
			Help:        "Connections without an admitted request that were closed because there were too many.",
			ConstLabels: prometheus.Labels{"listener": on},
		}, func() float64 { return float64(cfg.Evicted(on)) }))
	}
	if cfg.Cluster != nil {
		p.registry.MustRegister(clusterCollector{cfg.Cluster})
	}
	p.Handler = promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{})
	return p
}

// Config has the sources of the metrics of a lock table. All functions are called at every scrape.
type Config struct {
	Process  *Process // that serves the table
	Service  *core.Service
	Sizes    func() (db, wal int64) // bytes of the database and its write-ahead log; nil leaves them out
	Journal  *journal.Journal
	Server   func() api.Server // disk and limits
	Policies func() api.PolicyList
	Watches  func() int
	Exports  func() int

	LastBackup func() time.Time // nil: there is none
}

// Metrics are the metrics of one lock table, and of the process that serves it. They are safe for
// use by many goroutines.
type Metrics struct {
	*Process
	// Handler serves all of them.
	Handler http.Handler
}

// New returns the metrics of a lock table.
func New(cfg Config) *Metrics {
	own := prometheus.NewRegistry()
	own.MustRegister(
		gauge("octostore_watches", "Clients that watch events now.", cfg.Watches),
		gauge("octostore_exports", "Exports of the audit log in progress, including those that follow.", cfg.Exports),
		timestamp("octostore_last_backup_timestamp_seconds",
			"When the newest backup was begun that was sent whole over HTTP, in seconds since 1970; 0 if there is none.", cfg.LastBackup),
		&tableCollector{service: cfg.Service, sizes: cfg.Sizes},
		serverCollector{journal: cfg.Journal, server: cfg.Server},
		policyCollector{list: cfg.Policies},
	)
	all := prometheus.Gatherers{cfg.Process.registry, own}
	return &Metrics{Process: cfg.Process, Handler: promhttp.HandlerFor(all, promhttp.HandlerOpts{})}
}

// counters returns a counter for each value of a label, all at zero.
func counters(label string, values []string, opts prometheus.CounterOpts) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(opts, []string{label})
	for _, v := range values {
		c.WithLabelValues(v)
	}
	return c
}

func gauge(name, help string, value func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
}

func buildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "octostore_build_info",
		Help:        "Always 1; the labels have the versions of the program.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	}, func() float64 { return 1 })
}

// Panicked counts a handler that panicked.
func (p *Process) Panicked() { p.panics.Inc() }

// Limited counts a request that met a limit.
func (p *Process) Limited(limit string) { p.limited.WithLabelValues(limit).Inc() }

// codes are the codes under which requests are counted, the most frequent first.
var codes = append([]api.Code{OK, api.Code(api.Failing)}, problem.Codes()...)

// Codes returns the codes under which requests can be counted.
func Codes() []api.Code { return slices.Clone(codes) }

// Route are the metrics of one route. They are looked up once instead of by label at every
// request.
type Route struct {
	seconds  prometheus.Observer
	counter  func(api.Code) prometheus.Counter
	counters []atomic.Pointer[prometheus.Counter] // as in codes; created on first use
}

// Route returns the metrics of the route with that id.
func (p *Process) Route(id string) *Route {
	return &Route{
		seconds:  p.seconds.WithLabelValues(id),
		counter:  func(code api.Code) prometheus.Counter { return p.requests.WithLabelValues(id, string(code)) },
		counters: make([]atomic.Pointer[prometheus.Counter], len(codes)),
	}
}

// Observe counts one request. The code must be one of [Codes].
func (r *Route) Observe(code api.Code, took time.Duration) {
	r.seconds.Observe(took.Seconds())
	slot := &r.counters[slices.Index(codes, code)]
	counter := slot.Load()
	if counter == nil {
		made := r.counter(code)
		counter = &made
		slot.Store(counter)
	}
	(*counter).Inc()
}
