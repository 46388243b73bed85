package faults_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest/httplocktest"
	"github.com/octostore/octostore/core/lock/locktest"
)

// overHTTP is a real server that is killed and started again under its clients.
type overHTTP struct {
	t       *testing.T
	dir     string
	history *locktest.History
	client  *http.Client

	mu     sync.RWMutex // held while there is no server to ask
	server *octotest.Server
}

func newImpatientClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: 20 * time.Second}
}

func (s *overHTTP) start() bool {
	server, err := octotest.TryStart(s.dir)
	if err != nil {
		s.t.Error(err)
		return false
	}
	s.server = server
	return true
}

// killAndRestart kills the server in the middle of what it does. Requests that come
// after that wait for the next one.
func (s *overHTTP) killAndRestart() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.Kill()
	s.history.Restarted()
	return s.start()
}

// addr returns the address of the server, once there is one.
func (s *overHTTP) addr() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.server.Addr
}

// locks returns the locks of the server. Each request is sent once.
func (s *overHTTP) locks() httplocktest.Locks {
	return httplocktest.Locks{
		Ask: func(ctx context.Context, method, path string, headers ...string) (httplocktest.Answer, error) {
			return httplocktest.Send(ctx, s.client, "", s.addr(), method, path, headers...)
		},
		Unexpected: func(a httplocktest.Answer) { s.t.Errorf("an unexpected answer: %d %s", a.Status, a.Body) },
	}
}
