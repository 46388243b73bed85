// Package bench measures an OctoStore server from outside, over plain HTTP, as a client
// sees it.
//
// Every mode is one [load]: a fixed number of keep-alive connections, each with one
// goroutine that sends a prepared request, reads the answer, and sends the next. The same
// load runs in turns against a ceiling: a net/http server in a process of its own that
// answers the same requests with fixed bodies and stores nothing. So each figure can be
// read as a share of what net/http achieves on the same machine in the same minute, which
// says more than requests per second.
//
// The loads also check the answers: the fencing tokens of a lock must grow, a lock must
// have one holder at a time, and every request must get an answer. A run with a violation
// is a failed run, however fast it was.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
)

// Mode is the kind of load.
type Mode string

// Modes.
const (
	Acquire  Mode = "acquire"  // acquire and release of free locks
	Handover Mode = "handover" // a released lock goes to the next waiter
	Status   Mode = "status"   // reading a lock that is held
	Waiters  Mode = "waiters"  // many requests that wait at once
	Locks    Mode = "locks"    // many locks held at once
	Ceiling  Mode = "ceiling"  // the ceiling alone
	Compare  Mode = "compare"  // all that, beside other programs that people take locks from
)

// Config says what to measure, on which server and for how long. Required are Mode, Ceiling
// and one of URL and Serve.
type Config struct {
	Mode Mode

	URL   string   // of the server to measure; empty: start one with Serve
	Token string   // bearer token for it, if it wants one
	Serve []string // command line of an OctoStore server; it logs where it listens
	// CeilingServer is the command line of a process that calls [ServeCeiling].
	CeilingServer []string
	// Dir is a folder on the disk to measure: the database of a started server lies in a
	// fresh folder below it. Empty: the system's folder for temporary files.
	Dir string

	Connections []int // one row of results for each; default 64
	Waiters     int   // handover: for each lock, default 8; waiters: in all, default 1,000
	Locks       int   // handover and waiters: default 1; locks: how many to hold, default 100,000
	Writers     int   // status: connections that acquire and release beside the readers
	// Guarded makes the variant a server with a token, which the requests carry.
	Guarded bool
	// Variant is the environment settings of a second server that is measured in turns with
	// the first; mode acquire only. Empty: no second server.
	Variant []string
	// Pages makes the variant a server on which that many browsers have a page open.
	Pages int
	// Peers are the other programs of mode compare, by name. Empty: those that are installed;
	// "none": no other program.
	Peers []string
	alone bool // the memory of mode compare: the steps of the server only, with a token
	// Version of the server, for the report of mode compare.
	Version string
	// Parked is the number of waiters of mode compare whose memory is measured; default 10,000.
	Parked   int
	Rounds   int           // default 3
	Duration time.Duration // of one round; default 3 s
	Warmup   time.Duration // before each round, not counted; negative: none; default 1 s

	Progress io.Writer // gets one line per finished step; nil: none
}

func (c Config) withDefaults() Config {
	setDefault := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	if len(c.Connections) == 0 {
		c.Connections = []int{64}
	}
	waiters, locks := 8, 1
	switch c.Mode {
	case Compare:
		waiters, locks = 16, 100_000
		setDefault(&c.Parked, 10_000)
		setDefault(&c.Writers, 16)
	case Waiters:
		waiters = 1000
	case Locks:
		locks = 100_000
	}
	setDefault(&c.Waiters, waiters)
	setDefault(&c.Locks, locks)
	setDefault(&c.Rounds, 3)
	if c.Duration == 0 {
		c.Duration = 3 * time.Second
	}
	if c.Warmup == 0 {
		c.Warmup = time.Second
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	return c
}

func (c Config) check() error {
	modes := []Mode{Acquire, Handover, Status, Waiters, Locks, Ceiling, Compare}
	switch {
	case !slices.Contains(modes, c.Mode):
		return fmt.Errorf("there is no mode %q; there are %v", c.Mode, modes)
	case slices.Min(c.Connections) < 1:
		return errors.New("the number of connections must be 1 or more")
	case c.Waiters < 1 || c.Locks < 1 || c.Rounds < 1 || c.Writers < 0:
		return errors.New("the numbers of waiters, locks and rounds must be 1 or more")
	case c.Mode == Compare && c.timing().patience() > peerPatience:
		return errors.New("the rounds of a comparison are too long: at most 30 seconds with their warm-up")
	case c.Duration < 0:
		return errors.New("the duration must be positive")
	case c.Guarded && (c.URL != "" || c.Mode != Acquire):
		return errors.New("what a token costs is measured in mode acquire, on servers that are started for it")
	case c.Pages < 0 || c.Pages > 0 && (c.URL != "" || c.Mode != Acquire || c.Guarded || len(c.Variant) > 0):
		return errors.New("what open pages cost is measured in mode acquire, without another variant, on servers that are started for it")
	case len(c.Variant) > 0 && (c.Mode != Acquire || c.URL != ""):
		return errors.New("a variant is measured in mode acquire only, beside a server started for it")
	case slices.ContainsFunc(c.Variant, func(s string) bool { return !strings.HasPrefix(s, "OCTOSTORE_") || !strings.Contains(s, "=") }):
		return fmt.Errorf("the settings of a variant are %q; want each as OCTOSTORE_NAME=value", c.Variant)
	}
	return nil
}

// Run measures what cfg asks for. Servers it started are stopped when it returns, also when
// ctx ends early.
//
// If the server answered something wrong, the report comes with a [*FailedError]. After any
// other error there is no report.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	var absent []string
	if cfg.Mode == Compare {
		var err error
		if cfg.Peers, absent, err = choosePeers(cfg.Peers); err != nil {
			return nil, err
		}
	}
	r := &run{cfg: cfg, groups: plan(cfg)}
	if cfg.alone {
		r.groups = alone(r.groups)
	}
	if err := r.all(ctx); err != nil {
		if ctx.Err() != nil {
			// The failure is a consequence of the stop.
			err = context.Cause(ctx)
		}
		return nil, err
	}
	report := r.report()
	report.Absent = absent
	if cfg.Mode == Compare {
		if err := report.addMemory(ctx, cfg); err != nil {
			return nil, err
		}
	}
	return report, report.failure()
}

// run is one call of [Run]: its plan, the running servers, and the results.
type run struct {
	cfg    Config
	groups []group
	syncs  []time.Duration
	writes []time.Duration // mode compare: 8 KiB over what is there, with their syncs
	peers  []Peer
	others []float64 // share of the machine that other programs used, by load
	up     [numPlaces]*target
}

func (r *run) all(ctx context.Context) error {
	defer r.stop()
	for _, g := range r.groups {
		for round := range r.rounds() {
			if err := r.round(ctx, g, round); err != nil {
				return err
			}
		}
	}
	return nil
}

// rounds is the number of rounds. The memory of a server that cannot be restarted can be
// seen to grow only once.
func (r *run) rounds() int {
	if r.cfg.URL != "" && r.freshServers() {
		return 1
	}
	return r.cfg.Rounds
}

// freshServers reports whether every step needs a fresh server: a process does not return
// memory to the system.
func (r *run) freshServers() bool { return r.cfg.Mode == Waiters || r.cfg.Mode == Locks }

func (r *run) round(ctx context.Context, g group, round int) error {
	if err := r.measureDisk(ctx); err != nil {
		return err
	}
	for _, s := range g.turns(round) {
		t, err := r.target(ctx, s.server)
		if err != nil {
			return err
		}
		sample, err := r.load(ctx, s, t)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		s.samples = append(s.samples, sample)
		fmt.Fprintf(r.cfg.Progress, "%s, round %d of %d: %.0f per second\n", s.label(), round+1, r.rounds(), sample.rate())
		if r.freshServers() {
			r.stop()
		}
	}
	return nil
}

// load runs the load of a step, and records what other programs used meanwhile.
func (r *run) load(ctx context.Context, s *step, t *target) (*sample, error) {
	before, err := look(ctx, t)
	if err != nil {
		return nil, err
	}
	sample, err := s.load.run(ctx, t)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	after, err := look(ctx, t)
	if others := before.Others(after); others != nil {
		r.others = append(r.others, *others)
	}
	return sample, err
}

// measureDisk measures a few syncs in every round, because the speed of disks varies. The
// disk of a server elsewhere is out of reach unless the user names a folder on it.
func (r *run) measureDisk(ctx context.Context) error {
	if r.cfg.Mode == Ceiling || r.cfg.URL != "" && r.cfg.Dir == "" {
		return nil
	}
	syncs, err := usage.SyncTimes(ctx, r.cfg.Dir)
	r.syncs = append(r.syncs, syncs...)
	if err != nil || r.cfg.Mode != Compare {
		return err
	}
	writes, err := usage.OverwriteTimes(ctx, r.cfg.Dir)
	r.writes = append(r.writes, writes...)
	return err
}

// target returns a server, and starts it first if necessary.
func (r *run) target(ctx context.Context, p serverKind) (*target, error) {
	if r.up[p] != nil {
		return r.up[p], nil
	}
	t, err := openTarget(ctx, r.cfg, p)
	if err != nil {
		return nil, err
	}
	r.up[p] = t
	if t.peer != nil {
		r.peers = append(r.peers, Peer{t.peer.Name, t.peer.Version, t.peer.Command, t.peer.Operations})
	}
	return t, nil
}

func (r *run) stop() {
	for p, t := range r.up {
		if t != nil {
			t.close()
			r.up[p] = nil
		}
	}
}

func (r *run) report() *Report {
	report := &Report{
		Mode:       r.cfg.Mode,
		URL:        r.cfg.URL,
		System:     runtime.GOOS + "/" + runtime.GOARCH,
		CPUs:       runtime.NumCPU(),
		Rounds:     r.rounds(),
		DurationMS: r.cfg.Duration.Milliseconds(),
		WarmupMS:   max(0, r.cfg.Warmup).Milliseconds(),
		OthersCPU:  mean(r.others),
		DiskSyncUS: rounded(micros(median(r.syncs))),

		DiskOverwriteUS: rounded(micros(median(r.writes))),
		Peers:           r.peers,
		Version:         r.cfg.Version,
	}
	for _, g := range r.groups {
		for _, s := range g {
			report.Rows = append(report.Rows, summarize(s, g))
		}
	}
	return report
}
