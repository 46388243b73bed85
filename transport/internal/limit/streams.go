package limit

import (
	"sync"

	"github.com/octostore/octostore/core/auth"
)

// Streams bounds how many clients may watch, or export, at a time. One account has at most
// three quarters of the streams, so no account keeps all others out; the account of a
// server without tokens, which all clients share, may have all of them. Streams is safe for
// use by many goroutines.
type Streams struct {
	Max int // set before use

	mu        sync.Mutex
	inUse     int
	byAccount map[string]int
}

// Begin begins a stream of an account, or returns false if there is none left for it. The
// caller calls [Streams.End] if it returned true.
func (s *Streams) Begin(account string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inUse >= s.Max || s.byAccount[account] >= s.share(account) {
		return false
	}
	if s.byAccount == nil {
		s.byAccount = map[string]int{}
	}
	s.inUse++
	s.byAccount[account]++
	return true
}

func (s *Streams) share(account string) int {
	if account == auth.LocalAccount {
		return s.Max
	}
	return s.Max - s.Max/4
}

// End ends a stream of an account.
func (s *Streams) End(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inUse--
	if s.byAccount[account]--; s.byAccount[account] == 0 {
		delete(s.byAccount, account)
	}
}

// InUse returns the number of streams.
func (s *Streams) InUse() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inUse
}
