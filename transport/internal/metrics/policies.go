package metrics

import (
	"github.com/octostore/octostore/transport/api"
	"github.com/prometheus/client_golang/prometheus"
)

// policyCollector collects the metrics of policies at every scrape. The labels are names from
// the manifest, of which there are few. Counters begin at zero when a policy is loaded.
type policyCollector struct{ list func() api.PolicyList }

func describePolicy(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"policy"}, labels...), nil)
}

var (
	descLoaded   = describe("octostore_policies_loaded_timestamp_seconds", "When the present policies were loaded, in seconds since 1970; 0 without policies.")
	descFailed   = describe("octostore_policies_failed_reloads_total", "Reloads of the policies that failed, so that the policies before stayed.")
	descCalls    = describePolicy("octostore_policy_calls_total", "Calls of a policy since it was loaded.", "mode")
	descDenials  = describePolicy("octostore_policy_denials_total", "Calls in which a policy denied; in mode shadow the request was not refused.", "mode")
	descErrors   = describePolicy("octostore_policy_errors_total", "Requests that a policy could not answer, including those without a call, and events it failed on.", "mode")
	descFuel     = describePolicy("octostore_policy_fuel_total", "Fuel that the calls of a policy used.", "mode")
	descLag      = describePolicy("octostore_observer_lag_seconds", "Age of the next event of an observer; 0 when it has seen all.")
	descParked   = describePolicy("octostore_observer_parked_total", "Events an observer failed on, over restarts and reloads.")
	descGaps     = describePolicy("octostore_observer_gaps_total", "Times that events were pruned before an observer saw them.")
	descPolicies = []*prometheus.Desc{descLoaded, descFailed, descCalls, descDenials, descErrors, descFuel, descLag, descParked, descGaps}
)

// Describe implements [prometheus.Collector].
func (policyCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range append(descHealth, descPolicies...) {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c policyCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	all := c.list()
	loaded := 0.0
	if all.LoadedAt != nil {
		loaded = unix(*all.LoadedAt)
	}
	gauge(descLoaded, loaded)
	count(descFailed, all.FailedReloads)
	for _, p := range all.Policies {
		if p.Digest == "" { // it is off: not loaded, so there is nothing to count
			continue
		}
		count(descCalls, p.Calls, p.Name, p.Mode)
		count(descDenials, p.Denials, p.Name, p.Mode)
		count(descErrors, p.Errors, p.Name, p.Mode)
		count(descFuel, p.FuelUsed, p.Name, p.Mode)
		collectHealth(ch, p)
		if o := p.Observer; o != nil {
			gauge(descLag, float64(o.LagMS)/1000, p.Name)
			count(descParked, o.Parked, p.Name)
			count(descGaps, o.Gaps, p.Name)
		}
	}
}
