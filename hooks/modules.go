package hooks

import (
	"context"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/octostore/octostore/hooks/meter"
)

// modules are the compiled modules of an engine. Policies with the same file share one, also across a
// reload, which therefore compiles changed modules only.
type modules struct {
	mu  sync.Mutex // held for moments only
	all map[moduleKey]*module
}

// moduleKey is everything that compiled code depends on.
type moduleKey struct {
	digest string // of the module, in hex
	meter  meter.Config
}

// module is a compiled module with the number of policies that use it.
type module struct {
	ready    chan struct{} // closed once compiled, or err, is set
	compiled wazero.CompiledModule
	err      error

	users int // guarded by modules.mu
}

// use returns the module of a key. The first caller compiles it; others wait for that.
// The caller of a successful use calls release once.
func (ms *modules) use(key moduleKey, compile func() (wazero.CompiledModule, error)) (m *module, release func(), err error) {
	ms.mu.Lock()
	m, there := ms.all[key]
	if !there {
		m = &module{ready: make(chan struct{})}
		if ms.all == nil {
			ms.all = map[moduleKey]*module{}
		}
		ms.all[key] = m
	}
	m.users++
	ms.mu.Unlock()
	if !there {
		m.compiled, m.err = compile()
		close(m.ready)
	}
	<-m.ready
	release = func() { ms.release(key, m) }
	if m.err != nil {
		release()
		return nil, nil, m.err
	}
	return m, release, nil
}

// release closes a module that has no more users.
func (ms *modules) release(key moduleKey, m *module) {
	ms.mu.Lock()
	m.users--
	last := m.users == 0
	if last && ms.all[key] == m {
		delete(ms.all, key)
	}
	ms.mu.Unlock()
	if last && m.compiled != nil {
		_ = m.compiled.Close(context.Background())
	}
}
