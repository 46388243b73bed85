package transport

import (
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/limit"
	"github.com/octostore/octostore/transport/problem"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the numbers of one API. No label ever has a value that a client
// chose: neither locks nor holders nor accounts appear.
type metrics struct {
	handler  http.Handler
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	panics   prometheus.Counter
}

// routeMetrics are the metrics of one route, looked up once instead of by label at
// every request.
type routeMetrics struct {
	seconds prometheus.Observer
	count   func(api.Code) prometheus.Counter
	counts  []atomic.Pointer[prometheus.Counter] // as in counted; made when first needed
}

// counted are the codes requests are counted under, the most frequent first.
var counted = append([]api.Code{codeOK, api.Code(api.Failing)}, problem.Codes()...)

// requestBounds reach from an answer out of memory to the longest wait.
var requestBounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30, 60, 120, 300, 600}

func newMetrics(cfg Config, a *API) *metrics {
	m := &metrics{
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
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		m.requests, m.seconds, m.panics, limited(a.limits), openConnections(a), cutConnections(a),
		newBuildInfo(cfg.Version),
		newTableCollector(cfg),
		streams(&a.watches, "octostore_watches", "Clients that watch events now."),
		streams(&a.exports, "octostore_exports", "Exports of the audit under way now, those that follow included."),
		policyCollector{cfg.Policies},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

// limited counts what is refused because of a limit, from now on.
func limited(l *limit.Limits) prometheus.Collector {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "octostore_limited_total",
		Help: "Requests that were answered rate_limited, by the limit they met.",
	}, []string{"limit"})
	for _, name := range limit.Names() {
		c.WithLabelValues(name)
	}
	l.OnRefuse = func(name string) { c.WithLabelValues(name).Inc() }
	return c
}

func streams(s *limit.Streams, name, help string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(s.InUse()) })
}

func openConnections(a *API) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "octostore_http_connections",
		Help: "Connections to the main listener that are open.",
	}, func() float64 { return float64(a.connections[mainSide].Len()) })
}

// cutConnections counts the connections that are cut, from now on, and has each logged.
func cutConnections(a *API) prometheus.Collector {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "octostore_http_connections_cut_total",
		Help: "Connections on which there was no request yet and that were cut because there were too many.",
	}, []string{"listener"})
	for on := range numSides {
		counter := c.WithLabelValues(sideNames[on])
		a.connections[on].OnEvict = func(network netip.Addr) {
			counter.Inc()
			a.logCut(on, network)
		}
	}
	return c
}

func newBuildInfo(version string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "octostore_build_info",
		Help:        "Always 1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	}, func() float64 { return 1 })
}

// of returns the metrics of the route with that id.
func (m *metrics) of(id string) *routeMetrics {
	return &routeMetrics{
		seconds: m.seconds.WithLabelValues(id),
		count:   func(code api.Code) prometheus.Counter { return m.requests.WithLabelValues(id, string(code)) },
		counts:  make([]atomic.Pointer[prometheus.Counter], len(counted)),
	}
}

// observe counts one request. The code must be one of counted.
func (m *routeMetrics) observe(code api.Code, took time.Duration) {
	m.seconds.Observe(took.Seconds())
	slot := &m.counts[slices.Index(counted, code)]
	counter := slot.Load()
	if counter == nil {
		made := m.count(code)
		counter = &made
		slot.Store(counter)
	}
	(*counter).Inc()
}
