package transport

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// seats are for those who stay long: no more than there are seats. It is safe for use
// by many goroutines.
type seats struct {
	most  int64 // set before it is used
	taken atomic.Int64
}

// take takes a seat, or returns false if there is none. Who has one leaves it.
func (s *seats) take() bool {
	if s.taken.Add(1) <= s.most {
		return true
	}
	s.taken.Add(-1)
	return false
}

func (s *seats) leave() { s.taken.Add(-1) }

func (s *seats) gauge(name, help string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
		func() float64 { return float64(min(s.taken.Load(), s.most)) })
}
