package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// timestamp returns a gauge of an instant, in seconds since 1970; 0 for the zero time, and if
// there is no source.
func timestamp(name, help string, at func() time.Time) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
		if at == nil {
			return 0
		}
		return unix(at())
	})
}
