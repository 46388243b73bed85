package backuptool

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/core/store/sqlite"
)

// RestoreConfig says which backup goes where.
type RestoreConfig struct {
	Backup, Database string
	// DiscardNewer allows that records are lost which the present database has, and the
	// backup has not.
	DiscardNewer bool
	Now          func() time.Time // nil: time.Now
}

// Restore verifies a backup and puts it in the place of the database. It shows its progress
// on errs, and prints to out what it did. Until the backup is verified, and if Restore fails,
// the database is as it was.
func (cfg RestoreConfig) Restore(ctx context.Context, out, errs io.Writer) error {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	info, err := regularFile(cfg.Backup)
	if err != nil {
		return err
	}
	if present, err := os.Stat(cfg.Database); err == nil && os.SameFile(present, info) {
		return exitcode.Usagef("%s is the database itself", cfg.Backup)
	}
	r, err := sqlite.BeginRestore(cfg.Database)
	if errors.Is(err, sqlite.ErrInUse) {
		return fmt.Errorf("restore %s: %w; stop it first", cfg.Database, err)
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", cfg.Database, err)
	}
	defer r.Close()
	next, err := cfg.draft(ctx, r, info.Size(), errs)
	if err != nil {
		return err
	}
	if err := cfg.compare(ctx, r, next); err != nil {
		return err
	}
	kept, err := r.Replace(cfg.Now())
	if err != nil {
		return fmt.Errorf("restore %s: %w", cfg.Database, err)
	}
	fmt.Fprintf(out, "restored %s from %s.\n%s", r.Path(), cfg.Backup, next)
	if kept != "" {
		fmt.Fprintf(out, "The database that was there is kept as %s. It is as secret as the other.\n", kept)
	}
	_, err = fmt.Fprintln(out, "Fencing tokens go on growing: the next start continues above all that were given out.")
	return err
}

// draft copies the backup beside the database and verifies the copy.
func (cfg RestoreConfig) draft(ctx context.Context, r *sqlite.Restoration, size int64, errs io.Writer) (content, error) {
	p := terminal.NewProgress(errs, "restore")
	defer p.End()
	if err := r.Copy(ctx, cfg.Backup, p.Set); err != nil {
		return content{}, err
	}
	p.End()
	p = terminal.NewProgress(errs, "verify")
	defer p.End()
	c, err := examine(ctx, p, size, nil, func(begin func(sqlite.Inspection) func(lock.Segment) error) (sqlite.Inspection, error) {
		return r.Examine(ctx, begin)
	})
	if err != nil {
		return c, exitcode.As(exitcode.Tampered, fmt.Errorf("%s is not restored, for it is damaged: %w", cfg.Backup, err))
	}
	return c, nil
}

// compare refuses a restore after which records or the order of fencing tokens would be lost.
func (cfg RestoreConfig) compare(ctx context.Context, r *sqlite.Restoration, next content) error {
	present, err := r.Present(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	const advice = "; to restore it all the same, give --discard-newer"
	if err != nil {
		if cfg.DiscardNewer {
			return nil
		}
		return fmt.Errorf(
			"the database that is there cannot be read, so whether it has newer records than the backup is not known (%w)%s",
			err, advice,
		)
	}
	if next.Head.Seq >= present.Head.Seq && next.Key.Equal(present.Key) {
		has, err := contains(ctx, r, present.Head)
		if has || err != nil || cfg.DiscardNewer {
			return err
		}
		return fmt.Errorf("the database that is there has records that the backup has not, up to %d: "+
			"servers have run on two copies of one database. These records would be lost%s", present.Head.Seq, advice)
	}
	if err := cfg.awaitClock(ctx, present.Head.Seq); err != nil {
		return err
	}
	if cfg.DiscardNewer {
		return nil
	}
	lost, err := lostRecords(ctx, r.Path(), present, next)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s%s", lost, advice)
}

// contains reports whether the draft has a record, with the same hash. A record from before
// its cut cannot be compared, and counts as there.
func contains(ctx context.Context, r *sqlite.Restoration, newest lock.Head) (has bool, err error) {
	if newest == (lock.Head{}) {
		return true, nil
	}
	in, err := r.Inspect(ctx, newest.Seq-1, func(g lock.Segment) error {
		if g.First > newest.Seq {
			return nil
		}
		for l := range record.Lines(g, newest.Seq-1) {
			has = has || l.Seq == newest.Seq && sha256.Sum256(l.Bytes) == newest.Hash
		}
		return nil
	})
	return has || newest.Seq < in.Cut.Seq || newest == in.Cut, err
}

// awaitClock returns once a start will continue above the newest record: it continues at the
// second of the clock, in which the database may have been in use until now.
func (cfg RestoreConfig) awaitClock(ctx context.Context, newest lock.Seq) error {
	const most = 5 * time.Second
	above := time.Unix(int64(newest>>20)+1, 0)
	behind := above.Sub(cfg.Now())
	if behind > most {
		return fmt.Errorf(
			"the clock, %s, is behind the newest record of the database that is there: fencing tokens would be given out a second time; set the clock",
			cfg.Now().UTC().Format(time.RFC3339),
		)
	}
	return sleep.For(ctx, behind)
}

// lostRecords says what the present database has and the backup has not.
func lostRecords(ctx context.Context, path string, present sqlite.Inspection, next content) (string, error) {
	if !next.Key.Equal(present.Key) {
		return "this is a backup of another database: it has another signing key. " +
			"All records, leases and tokens of the one that is there would be lost", nil
	}
	var records int64
	kinds := map[lock.Kind]int64{}
	_, err := sqlite.Inspect(ctx, path, next.Head.Seq, func(g lock.Segment) error {
		for l := range record.Lines(g, next.Head.Seq) {
			records++
			kinds[l.Kind]++
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	lost := fmt.Sprintf("the database that is there is newer: %s after the backup would be lost", text.Count(records, "record"))
	var parts []string
	for _, k := range []struct {
		kind lock.Kind
		what string
	}{
		{lock.Granted, "granted: holders that still work are not known any more, and their locks can be granted again"},
		{lock.TokenCreated, "token_created: these tokens stop working"},
		{lock.TokenRevoked, "token_revoked: these tokens work again"},
	} {
		if n := kinds[k.kind]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, k.what))
		}
	}
	if len(parts) > 0 {
		lost += ". Among them " + strings.Join(parts, "; ")
	}
	return lost, nil
}
