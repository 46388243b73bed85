package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/octostore/octostore/transport/api"
)

// Metrics of how policies perform.
var (
	descDuration     = describePolicy("octostore_policy_call_duration_seconds", "Duration of calls of a policy, of which one in 16 is timed.", "mode")
	descPlaceWaits   = describePolicy("octostore_policy_place_waits_total", "Calls of a policy that waited for a free slot to run in.")
	descPlaceWaited  = describePolicy("octostore_policy_place_wait_seconds_total", "Time that calls of a policy waited for a free slot to run in.")
	descInstances    = describePolicy("octostore_policy_instances", "Instances of a policy.")
	descStarts       = describePolicy("octostore_policy_starts_total", "Instances of a policy that were created or failed to start.")
	descMemory       = describePolicy("octostore_policy_memory_bytes", "Memory of the instances of a policy.")
	descBreaker      = describePolicy("octostore_policy_breaker_open", "1 while a policy keeps failing and is called for occasional probes only, else 0.")
	descOpened       = describePolicy("octostore_policy_breaker_opened_total", "Times that the breaker of a policy opened.")
	descDroppedLines = describePolicy("octostore_policy_log_lines_dropped_total", "Log lines of a policy that were dropped, above 100 per second or 16 per call.")
	descHealth       = []*prometheus.Desc{
		descDuration, descPlaceWaits, descPlaceWaited, descInstances, descStarts, descMemory, descBreaker, descOpened, descDroppedLines,
	}
)

// collectHealth sends the metrics of how a policy performs.
func collectHealth(ch chan<- prometheus.Metric, p api.Policy) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, p.Name)
	}
	open := 0.0
	if p.BreakerOpen {
		open = 1
	}
	buckets := map[float64]uint64{}
	for _, b := range p.Latency.Buckets {
		buckets[seconds(b.AtMostNS)] = b.Calls
	}
	ch <- prometheus.MustNewConstHistogram(descDuration, p.Latency.Calls, seconds(p.Latency.TotalNS), buckets, p.Name, p.Mode)
	send(descPlaceWaits, prometheus.CounterValue, float64(p.Waits))
	send(descPlaceWaited, prometheus.CounterValue, seconds(p.WaitedNS))
	send(descInstances, prometheus.GaugeValue, float64(p.Instances))
	send(descStarts, prometheus.CounterValue, float64(p.Starts))
	send(descMemory, prometheus.GaugeValue, float64(p.MemoryBytes))
	send(descBreaker, prometheus.GaugeValue, open)
	send(descOpened, prometheus.CounterValue, float64(p.BreakerOpened))
	send(descDroppedLines, prometheus.CounterValue, float64(p.LinesDropped))
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }
