// Package storetool copies a whole table from one kind of store to another, and verifies the
// copy. Neither store may be served meanwhile. The source stays as it is, and the target has
// to be new.
package storetool

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
)

// Store is a store to copy from or to.
type Store struct {
	Name  string // for people
	Read  content.Reader
	Write func(ctx context.Context, t content.Table) (content.Writer, error)
}

// Copy is what to copy.
type Copy struct {
	From, To Store
	// DropOldest leaves out the oldest audit records if the target has no room for all. Without
	// it such a copy is refused.
	DropOldest bool
	// Backup says that the source goes on to be served.
	Backup bool
}

// Run copies the store, reads the copy again, and compares the two. It says on out what was
// copied, and shows its progress on errs. After an error there is no copy, except where the
// error says that one differs.
func (c Copy) Run(ctx context.Context, out, errs io.Writer) error {
	p := terminal.NewProgress(errs, "copy")
	defer p.End()
	r := run{Copy: c, progress: p, sum: newDigest()}
	if err := r.copy(ctx); err != nil {
		return err
	}
	if err := r.compare(ctx); err != nil {
		return exitcode.As(exitcode.Tampered, fmt.Errorf("the copy in %s cannot be used: %w", c.To.Name, err))
	}
	p.End()
	return r.tell(out)
}

// run is one copy under way.
type run struct {
	Copy

	progress *terminal.Progress
	table    content.Table // of the source
	cut      lock.Head     // of the copy
	check    *verify.SegmentVerifier
	replay   *verify.Replay
	w        content.Writer
	excess   int64     // bytes of segments to be left out yet
	dropped  int64     // records
	since    time.Time // of the newest dropped record
	copied   int64     // records
	begun    bool
	sum      digest
	failed   error // of the target, which is not what the source calls it
}

func (r *run) copy(ctx context.Context) (err error) {
	defer func() {
		if r.w != nil {
			err = errors.Join(err, r.w.Abort())
		}
	}()
	err = r.From.Read(ctx, func(t content.Table) (func(lock.Segment) error, error) {
		if r.failed = r.begin(ctx, t); r.failed != nil {
			return nil, r.failed
		}
		return func(g lock.Segment) error { return r.segment(ctx, g) }, nil
	})
	if err = cmp.Or(r.failed, err); err != nil {
		return err
	}
	if err := r.whole(); err != nil {
		return exitcode.As(exitcode.Tampered, fmt.Errorf("%s is not copied: %w", r.From.Name, err))
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	return r.w.Finish(ctx)
}

// bounded is a [content.Writer] with little room.
type bounded interface {
	// Room returns the bytes that segments may have.
	Room() int64
}

func (r *run) begin(ctx context.Context, t content.Table) (err error) {
	r.table, r.cut = t, t.Cut
	r.check, r.replay = verify.NewSegmentVerifier(t.Cut, public(t.Key)), verify.NewReplay(t.Cut.Seq)
	if r.w, err = r.To.Write(ctx, t); err != nil {
		return err
	}
	r.progress.Set(0, t.Bytes)
	target, is := r.w.(bounded)
	if !is || t.Bytes <= target.Room() {
		return nil
	}
	if !r.DropOldest {
		return fmt.Errorf(
			"the audit log has %d MiB, and %s has room for %d MiB: archive or export the oldest records and prune them, or leave them out with --drop-oldest",
			t.Bytes>>20, r.To.Name, target.Room()>>20,
		)
	}
	r.excess = t.Bytes - target.Room()
	return nil
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

func (r *run) segment(ctx context.Context, g lock.Segment) error {
	if err := verify.CheckSegment(r.check, r.replay, g, r.table.Cut.Seq); err != nil {
		return exitcode.As(exitcode.Tampered, err)
	}
	r.progress.Count(int64(len(g.Bytes)), g.Count)
	if r.excess > 0 && g.Last < r.table.Head.Seq {
		return r.drop(g)
	}
	if r.failed = r.start(ctx); r.failed != nil {
		return r.failed
	}
	r.copied += int64(g.Count)
	r.sum.add(&g)
	if err := r.w.Add(ctx, g); err != nil {
		r.failed = fmt.Errorf("write to %s: %w", r.To.Name, err)
	}
	return r.failed
}

// drop leaves a segment out.
func (r *run) drop(g lock.Segment) (err error) {
	r.excess -= int64(len(g.Bytes))
	r.dropped, r.since = r.dropped+int64(g.Count), g.Time
	r.cut, err = record.HeadOf(g)
	return err
}

// start tells the target where the copied records begin.
func (r *run) start(ctx context.Context) error {
	if r.begun {
		return nil
	}
	r.begun = true
	return r.w.Begin(ctx, r.cut)
}

// whole checks that the audit log of the source is complete and leads to its leases.
func (r *run) whole() error {
	if err := r.check.End(r.table.Head); err != nil {
		return err
	}
	differences, _ := r.replay.Differences(r.table.Leases)
	if differences = append(differences, r.replay.Faults()...); len(differences) > 0 {
		return fmt.Errorf("records and leases contradict each other: %s", strings.Join(differences, "; "))
	}
	return nil
}

// compare reads the copy and compares it with what was read from the source.
func (r *run) compare(ctx context.Context) error {
	sum := newDigest()
	var t content.Table
	err := r.To.Read(ctx, func(got content.Table) (func(lock.Segment) error, error) {
		t = got
		return func(g lock.Segment) error { sum.add(&g); return nil }, nil
	})
	if err != nil {
		return err
	}
	r.table.Cut = r.cut
	if !bytes.Equal(sum.Sum(nil), r.sum.Sum(nil)) {
		return errors.New("its audit log differs")
	}
	return differences(r.table, t)
}

func (r *run) tell(out io.Writer) error {
	fmt.Fprintf(out, "copied %s, %s and an audit log of %s from %s to %s, and verified the copy.\n",
		text.Count(int64(len(r.table.Leases)), "lease"), text.Count(int64(len(r.table.Tokens)), "token"),
		text.Count(r.copied, "record"), r.From.Name, r.To.Name)
	if r.dropped > 0 {
		fmt.Fprintf(out, "Left out: the oldest %s, up to %s.\n", text.Count(r.dropped, "record"), r.since.UTC().Format(time.RFC3339))
	}
	if r.Backup {
		return nil
	}
	_, err := fmt.Fprintf(
		out, "Each lease runs again for its full time. Never start a server on %s again: it would give the same locks to others.\n", r.From.Name,
	)
	return err
}

// digest is a checksum over segments.
type digest struct{ hash.Hash }

func newDigest() digest { return digest{sha256.New()} }

func (d digest) add(g *lock.Segment) {
	var b []byte
	for _, n := range []uint64{uint64(g.First), uint64(g.Last), uint64(g.Count), uint64(g.Time.UnixNano()), uint64(len(g.Bytes))} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	d.Write(b)
	d.Write(g.Bytes)
}
