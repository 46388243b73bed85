package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/octostore/octostore/core/store/etcd/internal/dial"
)

// Examination is what is to be known of an etcd before it is relied on.
type Examination struct {
	Endpoints []EndpointReport // in the order of the configuration
	// Alarms are the alarms and errors of all members, such as "memberID:1 alarm:NOSPACE".
	Alarms []string
	// Initialised says that a cluster of OctoStore has been below this prefix.
	Initialised bool
	// Serving is the node that serves; the zero Owner: none.
	Serving Owner
	Nodes   []Node // that are alive, by name
	// Revision is etcd's newest, and Compacted the one up to which it has forgotten: 0 if it was
	// never compacted.
	Revision, Compacted int64
	// Rate is how fast the clock of a member runs beside this machine's: 1 is as fast, 0 not
	// measured.
	Rate float64
}

// EndpointReport is about one member of etcd.
type EndpointReport struct {
	Endpoint string
	Err      error // it did not answer; all that follows is zero
	Version  string
	Old      bool // older than OctoStore needs
	Leader   bool
	Quota    int64
	Size     int64 // bytes of the database file
	InUse    int64 // bytes of it that are in use
	Latency  time.Duration
}

// Examine looks at an etcd for up to fifteen seconds. It takes nothing and changes nothing
// there. An error means that etcd does not answer, or not to this user; then the examination
// has what was found before.
func Examine(ctx context.Context, cfg Config) (Examination, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return Examination{}, err
	}
	client, err := dial.Client(cfg.dial())
	if err != nil {
		return Examination{}, err
	}
	e := examiner{client: client, cfg: cfg}
	err = e.examine(ctx)
	return e.found, errors.Join(err, client.Close())
}

// examiner collects what is found.
type examiner struct {
	client *clientv3.Client
	cfg    Config
	found  Examination
}

func (e *examiner) examine(ctx context.Context) error {
	healthy := e.members(ctx)
	if healthy == "" {
		return fmt.Errorf("%w: %w", ErrUnreachable, e.found.Endpoints[0].Err)
	}
	if err := e.records(ctx); err != nil {
		return err
	}
	if err := e.compaction(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, rateTime)
	defer cancel()
	e.found.Rate, _ = dial.Rate(ctx, healthy, e.cfg.TLS) // 0 says that it was not measured
	return nil
}

// rateTime bounds how long the clock of a member is looked at.
const rateTime = 6 * time.Second

// members asks all members how they are, and returns one that answers.
func (e *examiner) members(ctx context.Context) (healthy string) {
	for _, m := range dial.Members(ctx, e.client) {
		r := EndpointReport{Endpoint: m.Endpoint, Err: m.Err}
		if m.Err == nil {
			healthy = m.Endpoint
			r.Version, r.Old, r.Latency = m.Status.Version, !dial.Supported(m.Status.Version), m.Took
			r.Leader = m.Status.Leader == m.Status.Header.MemberId
			r.Quota, r.Size, r.InUse = m.Status.DbSizeQuota, m.Status.DbSize, m.Status.DbSizeInUse
			e.found.Alarms = append(e.found.Alarms, m.Status.Errors...)
		}
		e.found.Endpoints = append(e.found.Endpoints, r)
	}
	slices.Sort(e.found.Alarms)
	e.found.Alarms = slices.Compact(e.found.Alarms)
	return healthy
}

// records looks who serves, and whether there is a table.
func (e *examiner) records(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	k := keys{e.cfg.Prefix}
	nodes := clientv3.OpGet(k.nodes(), clientv3.WithPrefix())
	answer, err := e.client.Txn(ctx).Then(clientv3.OpGet(k.meta()), clientv3.OpGet(k.own()), nodes).Commit()
	if err != nil {
		return fmt.Errorf("read what is below %s: %w", e.cfg.Prefix, err)
	}
	e.found.Initialised = len(rangeOf(answer, 0).Kvs) > 0
	e.found.Revision = answer.Header.Revision
	e.found.Serving, _ = ownerOf(rangeOf(answer, 1).Kvs)
	e.found.Nodes, err = k.nodesOf(rangeOf(answer, 2).Kvs)
	return err
}

// compaction asks up to which revision etcd has forgotten: a watch that begins before is told.
func (e *examiner) compaction(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for answer := range e.client.Watch(ctx, keys{e.cfg.Prefix}.own(), clientv3.WithRev(1), clientv3.WithCreatedNotify()) {
		if answer.CompactRevision > 0 {
			e.found.Compacted = answer.CompactRevision
			return nil
		}
		if err := answer.Err(); err != nil {
			return fmt.Errorf("ask for the oldest revision: %w", err)
		}
		if len(answer.Events) > 0 || !answer.Created {
			return nil
		}
	}
	return nil
}
