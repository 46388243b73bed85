package transport

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/octostore/octostore/core/auth"
)

// seats are for those who stay long: no more than there are seats, and no account but
// that of an open server has more than three quarters of them, so that nobody keeps all
// others out. It is safe for use by many goroutines.
type seats struct {
	most int // set before it is used

	mu    sync.Mutex
	taken int
	of    map[string]int // accounts, as long as they have one
}

// take takes a seat for an account, or returns false if there is none for it. Who has one
// leaves it.
func (s *seats) take(account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken >= s.most || s.of[account] >= s.share(account) {
		return false
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.taken++
	s.of[account]++
	return true
}

func (s *seats) share(account string) int {
	if account == auth.LocalAccount {
		return s.most
	}
	return s.most - s.most/4
}

func (s *seats) leave(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.of[account]--; s.of[account] == 0 {
		delete(s.of, account)
	}
}

// now returns how many are taken.
func (s *seats) now() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

func (s *seats) gauge(name, help string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(s.now()) })
}
