package bench

import (
	"context"
	"slices"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/peer"
)

// serverKind is the server that a step runs against.
type serverKind int

const (
	onServer  serverKind = iota // the OctoStore server
	onCeiling                   // net/http alone
	onVariant                   // an OctoStore server with other settings
	onRedis
	onEtcd
	onPostgres
	numPlaces
)

// peers are the servers that are other programs.
var peers = map[serverKind]string{onRedis: peer.Redis, onEtcd: peer.Etcd, onPostgres: peer.Postgres}

// load is what a step does to a server. It returns an error only if it could not do its
// work; failures of the server are counted in the sample.
type load interface {
	run(ctx context.Context, t *target) (*sample, error)
}

// step is one row of the results: a load, its server, and one sample for each round.
type step struct {
	workload    string // mode compare only
	name        string
	server      serverKind
	connections int
	waiters     int
	writers     int
	locks       int
	load        load
	samples     []*sample
}

func (s *step) label() string { return s.name + " at " + many(s.connections, "connection") }

// group is a list of steps that run in turns, round by round, so that a slow minute of the
// machine affects all of them. The first step is the ceiling of the others.
type group []*step

// turns returns the steps in the order of a round: every other round backwards, because a
// server may be faster when it runs after another.
func (g group) turns(round int) group {
	if round%2 == 0 {
		return g
	}
	backwards := slices.Clone(g)
	slices.Reverse(backwards)
	return backwards
}

// at returns the step against a server, nil if there is none.
func (g group) at(p serverKind) *step {
	for _, s := range g {
		if s.server == p {
			return s
		}
	}
	return nil
}

// plan returns the steps of a run.
func plan(cfg Config) []group {
	switch cfg.Mode {
	case Compare:
		return comparison(cfg)
	case Handover:
		n := cfg.Locks * (cfg.Waiters + 1)
		l := &handovers{timing: cfg.timing(), locks: cfg.Locks, waiters: cfg.Waiters}
		return []group{twice(step{name: "handover", connections: n, waiters: cfg.Waiters, locks: cfg.Locks, load: l})}
	case Waiters:
		l := &parkedWaiters{locks: cfg.Locks, waiters: cfg.Waiters}
		return []group{twice(step{name: "waiters", connections: cfg.Waiters, waiters: cfg.Waiters, locks: cfg.Locks, load: l})}
	}
	var groups []group
	for _, n := range cfg.Connections {
		groups = append(groups, cfg.at(n))
	}
	return groups
}

// at returns the group of a mode that is measured at n connections.
func (c Config) at(n int) group {
	pairs := &acquirePairs{timing: c.timing(), connections: n}
	readers := &reads{timing: c.timing(), connections: n}
	switch c.Mode {
	case Acquire:
		g := twice(step{name: "acquire", connections: n, load: pairs})
		if len(c.Variant) > 0 || c.Guarded {
			g = append(g, &step{name: c.variant(), server: onVariant, connections: n, load: pairs})
		}
		if c.Pages > 0 {
			beside := &besidePages{pairs, c.Pages}
			g = append(g, &step{name: "acquire beside " + many(c.Pages, "page"), server: onVariant, connections: n, load: beside})
		}
		return g
	case Locks:
		return twice(step{name: "locks", connections: n, locks: c.Locks, load: &heldLocks{connections: n, locks: c.Locks}})
	case Ceiling:
		return group{
			{name: "ceiling POST", server: onCeiling, connections: n, load: pairs},
			{name: "ceiling GET", server: onCeiling, connections: n, load: readers},
		}
	}
	g := twice(step{name: "status", connections: n, load: readers})
	if c.Writers > 0 {
		beside := *readers
		beside.writers = c.Writers
		g = append(g, &step{name: "status", connections: n, writers: c.Writers, load: &beside})
	}
	return g
}

// variant returns the name of the variant.
func (c Config) variant() string {
	if c.Guarded {
		return "acquire with a token"
	}
	return "variant"
}

// twice returns the group of a step and its ceiling, the ceiling first.
func twice(s step) group {
	ceiling := s
	ceiling.name, ceiling.server = "ceiling", onCeiling
	return group{&ceiling, &s}
}
