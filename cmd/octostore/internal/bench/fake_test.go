package bench

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
)

// fake is a lock service as the bench expects one, in memory, without leases that
// end by themselves. Its fields make it break its promises.
type fake struct {
	sameToken   bool // every grant has the same fencing token
	twoHolders  bool // every request gets the lock
	wrongState  bool // a held lock reads as free
	wrongToken  bool // a release names another lease
	noLease     bool // grants have no lease id
	unavailable bool // acquire is answered 503
	chunked     bool // answers have no Content-Length
	noMetrics   bool
	endsPages   bool // streams of pages end early
	guarded     bool // requests without a token are refused

	mu    sync.Mutex
	token uint64
	locks map[string]*fakeLock
}

type fakeLock struct {
	holder  uint64
	waiters []chan uint64
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.guarded && r.Header.Get("Authorization") == "" {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	if r.URL.Path == "/metrics" {
		if f.noMetrics {
			http.Error(w, "not for you", http.StatusForbidden)
			return
		}
		usage.WriteOwn(w)
		return
	}
	if r.URL.Path == "/v1/live" {
		fmt.Fprint(w, "event: ping\ndata: {}\n\n")
		http.NewResponseController(w).Flush()
		if !f.endsPages {
			<-r.Context().Done()
		}
		return
	}
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/locks/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodGet {
		f.status(w, path)
		return
	}
	slash := strings.LastIndexByte(path, '/')
	name, verb := path[:slash], path[slash+1:]
	switch verb {
	case "acquire":
		f.acquire(w, r, name)
	case "release":
		f.release(w, r, name)
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) acquire(w http.ResponseWriter, r *http.Request, name string) {
	if f.unavailable {
		http.Error(w, "come back later", http.StatusServiceUnavailable)
		return
	}
	token := f.take(r.Context(), name, r.URL.Query().Has("wait"))
	if token == 0 {
		http.Error(w, "held", http.StatusConflict)
		return
	}
	if f.noLease {
		f.answer(w, fmt.Sprintf(`{"name":%q,"fencing_token":%d}`, name, token))
		return
	}
	f.answer(w, fmt.Sprintf(`{"name":%q,"lease_id":"lease-%d","fencing_token":%[2]d}`, name, token))
}

// take returns the token of the grant, 0 for none.
func (f *fake) take(ctx context.Context, name string, wait bool) uint64 {
	f.mu.Lock()
	if f.locks == nil {
		f.locks = map[string]*fakeLock{}
	}
	l := f.locks[name]
	if l == nil {
		l = &fakeLock{}
		f.locks[name] = l
	}
	if l.holder == 0 || f.twoHolders {
		defer f.mu.Unlock()
		l.holder = f.nextToken()
		return l.holder
	}
	if !wait {
		f.mu.Unlock()
		return 0
	}
	turn := make(chan uint64, 1)
	l.waiters = append(l.waiters, turn)
	f.mu.Unlock()
	select {
	case token := <-turn:
		return token
	case <-ctx.Done():
		return 0
	}
}

func (f *fake) nextToken() uint64 {
	if !f.sameToken || f.token == 0 {
		f.token++
	}
	return f.token
}

func (f *fake) release(w http.ResponseWriter, r *http.Request, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, lease := f.locks[name], r.Header.Get("Octostore-Lease")
	if l == nil || lease != fmt.Sprintf("lease-%d", l.holder) && !f.twoHolders {
		http.Error(w, "not held", http.StatusConflict)
		return
	}
	var ended uint64
	fmt.Sscanf(lease, "lease-%d", &ended)
	if f.wrongToken {
		ended += 1000
	}
	l.holder = 0
	if len(l.waiters) > 0 {
		l.holder = f.nextToken()
		l.waiters[0] <- l.holder
		l.waiters = l.waiters[1:]
	}
	f.answer(w, fmt.Sprintf(`{"name":%q,"fencing_token":%d,"held_ms":0}`, name, ended))
}

func (f *fake) status(w http.ResponseWriter, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.locks[name]
	if l == nil || l.holder == 0 || f.wrongState {
		f.answer(w, fmt.Sprintf(`{"name":%q,"state":"free","waiters_total":0}`, name))
		return
	}
	f.answer(w, fmt.Sprintf(`{"name":%q,"state":"held","lease":{"fencing_token":%d},"waiters_total":%d}`, name, l.holder, len(l.waiters)))
}

func (f *fake) answer(w http.ResponseWriter, body string) {
	fmt.Fprintln(w, body)
	if f.chunked {
		http.NewResponseController(w).Flush()
	}
}
