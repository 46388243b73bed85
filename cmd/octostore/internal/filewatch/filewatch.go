// Package filewatch notices that files have changed, and loads them again.
//
// It looks at their names every few seconds, which works on every file system, through
// symbolic links and mounts: Kubernetes changes a secret by pointing a link at another
// folder. Files count as changed once two looks in a row find the same new state, so a file
// that is being written is not loaded. Each state is loaded once: after a mistake the next
// load comes with the next change.
package filewatch

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Group is files that are loaded together. Make one with [NewGroup]; it is safe for use by
// many goroutines, which load one after the other.
type Group struct {
	files func() []string
	load  func()

	mu      sync.Mutex // guards what follows, and is held by Load
	loaded  []state    // before the newest load
	pending []state    // found by the newest look, if it was not loaded; nil: none
}

// NewGroup returns a group that has just been loaded. Files returns their names; load loads
// them with [Group.Load], and reports what came of it.
func NewGroup(files func() []string, load func()) *Group {
	g := &Group{files: files, load: load}
	g.loaded = g.look()
	return g
}

// Load loads the files with f, whether they have changed or not. The present state of the
// files is not loaded again.
func (g *Group) Load(f func() error) error {
	if g == nil {
		return f()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loaded, g.pending = g.look(), nil
	return f()
}

// Check looks at the files once, and loads them if they have changed and settled.
func (g *Group) Check() {
	if g.settled() {
		g.load()
	}
}

// settled reports whether the files differ from those that were loaded, in the way they did
// at the look before.
func (g *Group) settled() bool {
	now := g.look()
	g.mu.Lock()
	defer g.mu.Unlock()
	if same(now, g.loaded) {
		g.pending = nil
		return false
	}
	if !same(now, g.pending) {
		g.pending = now
		return false
	}
	return true
}

// state is what a look at one file shows without reading it.
type state struct {
	name string
	real string      // without symbolic links
	info os.FileInfo // nil: it cannot be looked at
}

func (g *Group) look() []state {
	var all []state
	for _, name := range g.files() {
		s := state{name: name}
		if real, err := filepath.EvalSymlinks(name); err == nil {
			s.real = real
		}
		if info, err := os.Stat(name); err == nil {
			s.info = info
		}
		all = append(all, s)
	}
	return all
}

func same(a, b []state) bool { return a != nil && slices.EqualFunc(a, b, state.equal) }

func (s state) equal(o state) bool {
	if s.name != o.name || s.real != o.real || (s.info == nil) != (o.info == nil) {
		return false
	}
	return s.info == nil || os.SameFile(s.info, o.info) && s.info.Size() == o.info.Size() &&
		s.info.ModTime().Equal(o.info.ModTime()) && s.info.Mode() == o.info.Mode()
}

// Watch checks groups again and again.
type Watch struct {
	quit  chan struct{}
	end   sync.Once
	ended sync.WaitGroup
}

// Begin checks the groups at an interval, in a goroutine of its own, until the watch is
// closed. An interval of 0 checks nothing.
func Begin(every time.Duration, groups ...*Group) *Watch {
	w := &Watch{quit: make(chan struct{})}
	if every > 0 && len(groups) > 0 {
		w.ended.Go(func() { w.run(every, groups) })
	}
	return w
}

func (w *Watch) run(every time.Duration, groups []*Group) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-ticker.C:
		}
		for _, g := range groups {
			g.Check()
		}
	}
}

// Close ends the watch and waits for a load under way. No-op if already closed.
func (w *Watch) Close() {
	w.end.Do(func() { close(w.quit) })
	w.ended.Wait()
}
