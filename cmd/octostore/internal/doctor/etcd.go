package doctor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/core/store/etcd"
	"github.com/octostore/octostore/core/store/sqlite"
)

// Values beyond these limits get a warning.
const (
	manyRevisions = 5_000_000 // that etcd still remembers
	clockOff      = 0.01      // a part of the time of a lease
	clockWrong    = 0.04      // more, and the margin at the end of a lease may not be enough
)

// inEtcd runs the checks of a node whose table is in etcd.
func (d *doctor) inEtcd(ctx context.Context) {
	exposed := d.start(d.node(ctx))
	cfg, err := preflight.EtcdConfig(d.cfg)
	if err == nil { // else the start has said it
		d.etcd(ctx, cfg, exposed)
	}
	d.permissions()
	d.bootClock()
	d.policies(ctx)
}

// node finds out whether a node runs here.
func (d *doctor) node(ctx context.Context) (running bool) {
	target, err := d.askHealth(ctx)
	switch {
	case target == "":
		d.say(skip, "server", "whether a node runs here is not known: OCTOSTORE_URL does not say where it is")
	case err != nil:
		d.say(fine, "server", "no node answers at %s", session.Redacted(target))
	default:
		d.say(fine, "server", "a node runs here, and is well at %s", session.Redacted(target))
	}
	return target != "" && err == nil
}

// etcd checks the members of etcd, and the table in it.
func (d *doctor) etcd(ctx context.Context, cfg etcd.Config, exposed string) {
	found, err := etcd.Examine(ctx, cfg)
	d.members(found)
	if err != nil {
		d.say(wrong, "etcd", "%v", err)
		return
	}
	d.quota(found)
	d.revisions(found)
	d.leaseClock(found.Rate)
	d.serving(found)
	d.name(found)
	if found.Serving.Node == etcd.CopyingNode {
		return // it is no table yet
	}
	if !found.Initialised {
		d.say(fine, "table", "there is none below %s yet; the first node makes it", cfg.Prefix)
		d.exposure(exposed, 0)
		return
	}
	d.table(ctx, cfg, exposed)
}

func (d *doctor) members(found etcd.Examination) {
	var well []string
	for _, m := range found.Endpoints {
		switch {
		case m.Err != nil:
			d.say(doubt, "etcd", "%s does not answer: %v", m.Endpoint, m.Err)
		case m.Old:
			d.say(wrong, "etcd", "%s has version %s; 3.6 is the oldest that a node relies on", m.Endpoint, m.Version)
		default:
			role := ""
			if m.Leader {
				role = ", the leader"
			}
			well = append(well, fmt.Sprintf("%s (%s, %d ms%s)", m.Endpoint, m.Version, m.Latency.Milliseconds(), role))
		}
	}
	if len(well) > 0 {
		d.say(fine, "etcd", "%s", strings.Join(well, ", "))
	}
}

// quota checks the space of the member that has least of it left.
func (d *doctor) quota(found etcd.Examination) {
	if len(found.Alarms) > 0 {
		d.say(wrong, "quota", "etcd reports %s; compact and defragment it, and disarm the alarm", strings.Join(found.Alarms, ", "))
		return
	}
	var fullest etcd.EndpointReport
	for _, m := range found.Endpoints {
		if m.Quota > 0 && (fullest.Quota == 0 || m.Size*fullest.Quota > fullest.Size*m.Quota) {
			fullest = m
		}
	}
	if fullest.Quota == 0 {
		d.say(skip, "quota", "no member says how large its database may be")
		return
	}
	said := fmt.Sprintf("%d MiB of %d MiB in use, in a file of %d MiB", fullest.InUse>>20, fullest.Quota>>20, fullest.Size>>20)
	switch {
	case fullest.InUse > fullest.Quota/5*4:
		d.say(wrong, "quota", "%s: no locks are granted above 80 %%; compact etcd, or make its quota larger", said)
	case fullest.Size > fullest.Quota/5*4:
		d.say(doubt, "quota", "%s: the file is nearly as large as it may be; defragment etcd", said)
	case fullest.InUse > fullest.Quota/2:
		d.say(doubt, "quota", "%s: above a half the audit log is pruned early; look at the retention and at what else is in this etcd", said)
	default:
		d.say(fine, "quota", "%s", said)
	}
}

// revisions checks that etcd forgets old revisions, without which it only grows.
func (d *doctor) revisions(found etcd.Examination) {
	kept := found.Revision - found.Compacted
	if kept > manyRevisions {
		d.say(doubt, "compaction", "etcd remembers %s; start it with --auto-compaction-retention=1h, or compact it", text.Count(kept, "revision"))
		return
	}
	d.say(fine, "compaction", "etcd remembers %s", text.Count(kept, "revision"))
}

func (d *doctor) leaseClock(rate float64) {
	off := math.Abs(rate - 1)
	switch {
	case rate == 0:
		d.say(skip, "rate", "how fast the clock of etcd runs was not measured")
	case off > clockWrong:
		d.say(
			wrong, "rate", "the clock of etcd runs %.1f %% off this machine's: a lease could end there while this node still counts on it",
			100*(rate-1),
		)
	case off > clockOff:
		d.say(doubt, "rate", "the clock of etcd runs %.1f %% off this machine's", 100*(rate-1))
	default:
		d.say(fine, "rate", "the clock of etcd runs as fast as this machine's")
	}
}

func (d *doctor) serving(found etcd.Examination) {
	switch o := found.Serving; o.Node {
	case "":
		d.say(fine, "serving", "no node serves")
	case etcd.CopyingNode:
		d.say(
			wrong, "serving", "octostore store copy fills this table, or was killed: then delete what it has written with etcdctl del --prefix %s",
			d.cfg.EtcdPrefix,
		)
	default:
		d.say(fine, "serving", "node %q, at %s, in term %d", o.Node, o.URL, o.Term)
	}
}

// name checks that no other node that is alive has this node's name.
func (d *doctor) name(found etcd.Examination) {
	for _, n := range found.Nodes {
		if n.Name == string(d.cfg.Node) && n.URL != string(d.cfg.AdvertiseURL) {
			d.say(wrong, "name", "%v; OCTOSTORE_NODE names another", &etcd.NodeTakenError{Node: n.Name, URL: n.URL})
		}
	}
}

// table checks the audit log and the leases, as of one revision.
func (d *doctor) table(ctx context.Context, cfg etcd.Config, exposed string) {
	var in content.Inspection
	var check *verify.SegmentVerifier
	var replay *verify.Replay
	err := etcd.Snapshot(ctx, cfg, func(t content.Table) (func(lock.Segment) error, error) {
		in = t.Inspection()
		check, replay = verify.NewSegmentVerifier(in.Cut, in.Key), verify.NewReplay(in.Cut.Seq)
		return func(s lock.Segment) error {
			if err := verify.CheckSegment(check, replay, s, in.Cut.Seq); err != nil {
				return &brokenJournal{err}
			}
			return nil
		}, nil
	})
	var broken *brokenJournal
	if err != nil && !errors.As(err, &broken) {
		d.say(wrong, "table", "%v", err)
		return
	}
	d.exposure(exposed, in.Tokens)
	d.say(fine, "table", "below %s: every value is sound, %s", cfg.Prefix, text.Count(int64(len(in.Leases)), "lease"))
	if broken != nil {
		d.say(wrong, "journal", "%v", broken.error)
		return
	}
	d.journal(in, check, replay)
	d.archive(ctx, in.Key, in.Cut, in.Head.Seq)
}

// bootClock checks for the clock by which a node knows that its lease has ended.
func (d *doctor) bootClock() {
	if !sqlite.KnowsBootClock() {
		d.say(
			doubt, "clock",
			"there is none that counts while the machine sleeps, so a node that was suspended notices late that its lease has ended",
		)
		return
	}
	d.say(fine, "clock", "a node counts its lease by the clock that goes on while the machine sleeps")
}
