package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/peer"
	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
)

// Workloads of mode compare.
const (
	workPairs    = "acquire and release"
	workHandover = "hand-over"
	workStatus   = "status"
	workWaiters  = "memory of waiters"
	workLocks    = "memory of locks"
)

// octoStore is the name of the server in a comparison.
const octoStore = "octostore"

// peerPatience is less than the ttl of a lock of a peer.
const peerPatience = 45 * time.Second

// choosePeers returns the peers to measure and those that are not installed. A peer that the
// user named has to be installed; "none" stands for no peer.
func choosePeers(named []string) (chosen, absent []string, err error) {
	if slices.Equal(named, []string{"none"}) {
		return nil, nil, nil
	}
	names := named
	if len(named) == 0 {
		names = peer.Names()
	}
	for _, name := range names {
		err := peer.Check(name)
		switch {
		case err == nil:
			chosen = append(chosen, name)
		case len(named) == 0 && errors.Is(err, peer.ErrNotInstalled):
			absent = append(absent, name)
		case errors.Is(err, peer.ErrNotInstalled):
			return nil, nil, fmt.Errorf("%s is %w; make bench-peers installs it", name, err)
		default:
			return nil, nil, err
		}
	}
	return chosen, absent, nil
}

// comparison returns the steps of mode compare: each workload is a group.
func comparison(cfg Config) []group {
	var groups []group
	for _, n := range cfg.Connections {
		l := &acquirePairs{timing: cfg.timing(), connections: n}
		groups = append(groups, cfg.contest(step{workload: workPairs, connections: n, load: l}))
	}
	handover := &handovers{timing: cfg.timing(), locks: 1, waiters: cfg.Waiters}
	groups = append(groups, cfg.contest(step{workload: workHandover, connections: cfg.Waiters + 1, waiters: cfg.Waiters, load: handover}))
	return append(groups, cfg.statusContest())
}

// contest returns a step for each of the servers that are compared.
func (c Config) contest(s step) group {
	g := twice(s)
	g[1].name = octoStore
	for place := onRedis; place < numPlaces; place++ {
		name := peers[place]
		if !slices.Contains(c.Peers, name) || s.workload == workHandover && !peer.HasQueue(name) {
			continue
		}
		other := s
		other.name, other.server = name, place
		g = append(g, &other)
	}
	return g
}

// statusContest returns the steps of reading, beside writers where there is something to
// write.
func (c Config) statusContest() group {
	n := min(64, slices.Max(c.Connections))
	beside := &reads{timing: c.timing(), connections: n, writers: c.Writers}
	g := c.contest(step{workload: workStatus, connections: n, writers: c.Writers, load: beside})
	g[0].writers, g[0].load = 0, &reads{timing: c.timing(), connections: n}
	return g
}

// guards reports whether a server gets a token.
func (c Config) guards(p serverKind) bool {
	return p == onVariant && c.Guarded || p == onServer && (c.Mode == Compare || c.alone)
}

// mostConnections is the largest number of connections with one server.
func (c Config) mostConnections() int {
	most := slices.Max(c.Connections)
	return max(most+c.Writers+1, c.Waiters+1) + 1 // one looks around
}

// compare adds what a comparison says besides.
func (row *Row) compare(s *step, g group) {
	row.Workload = s.workload
	row.Rates = spread(each(s.samples, (*sample).rate))
	row.GeneratorCPUUS = rounded(median(each(s.samples, (*sample).generatorEach)))
	row.P50s = spread(each(s.samples, (*sample).p50))
	if s.server != onServer {
		server := g.at(onServer).samples
		row.OctoRate = share(server, s.samples)
		row.OctoP50 = ratio(server, s.samples, (*sample).p50)
	}
}

// generatorEach is what an operation costs the generator, those of writers beside included.
func (s *sample) generatorEach() float64 {
	return s.generator * 1e6 / float64(max(1, s.operations+s.beside))
}

func (s *sample) p50() float64 { return micros(time.Duration(s.latency.ValueAtQuantile(50))) }

// addMemory adds what waiters and locks cost, which needs servers of their own.
func (r *Report) addMemory(ctx context.Context, cfg Config) error {
	machine := usage.ReadMachine()
	r.Machine = &machine
	waiters := Config{Mode: Waiters, Waiters: cfg.Parked}
	locks := Config{Mode: Locks, Locks: cfg.Locks, Connections: []int{64}}
	if err := r.addRows(ctx, cfg, workWaiters, waiters); err != nil {
		return err
	}
	if err := r.addRows(ctx, cfg, workLocks, locks); err != nil {
		return err
	}
	r.Time = time.Now().UTC().Format(time.RFC3339)
	return nil
}

// addRows runs another mode on servers like those of the comparison, and adds the rows of the server.
func (r *Report) addRows(ctx context.Context, cfg Config, workload string, mode Config) error {
	mode.Serve, mode.CeilingServer, mode.Dir, mode.Progress = cfg.Serve, cfg.CeilingServer, cfg.Dir, cfg.Progress
	mode.Rounds, mode.alone = 1, true // memory hardly varies
	report, err := Run(ctx, mode)
	if report == nil {
		return fmt.Errorf("%s: %w", workload, err)
	}
	for _, row := range report.Rows {
		row.Workload, row.Name, row.Share = workload, octoStore, nil
		r.Rows = append(r.Rows, row)
	}
	return nil
}

// alone returns the groups without the steps of other servers.
func alone(groups []group) []group {
	var own []group
	for _, g := range groups {
		own = append(own, group{g.at(onServer)})
	}
	return own
}
