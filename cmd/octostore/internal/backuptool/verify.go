package backuptool

import (
	"context"
	"crypto/ed25519"
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
	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
)

// Verify verifies a backup: every page and index, the chain of the audit log, that it leads
// to the leases, and the signatures of its checkpoints, by the given key if it is not nil.
// It prints to out what the backup has. An error about its content has the exit code
// Tampered.
func Verify(ctx context.Context, out, errs io.Writer, path string, key ed25519.PublicKey) error {
	info, err := regularFile(path)
	if err != nil {
		return err
	}
	p := terminal.NewProgress(errs, "verify")
	defer p.End()
	c, err := examine(ctx, p, info.Size(), key, func(begin func(sqlite.Inspection) func(lock.Segment) error) (sqlite.Inspection, error) {
		return sqlite.Examine(ctx, path, begin)
	})
	p.End()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "verified: %s is whole, %d KiB: every page and index is sound.\n%s", path, info.Size()>>10, c)
	return err
}

// regularFile describes a file that has to be there.
func regularFile(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, exitcode.As(exitcode.Missing, err)
	}
	if err != nil {
		return nil, err
	}
	return info, files.CheckRegular(path, info)
}

// content is what an examined backup has.
type content struct {
	sqlite.Inspection

	check *verify.SegmentVerifier
}

// examine runs an examination of a file, and checks the audit log in it.
func examine(
	ctx context.Context, p *terminal.Progress, size int64, key ed25519.PublicKey,
	run func(begin func(sqlite.Inspection) func(lock.Segment) error) (sqlite.Inspection, error),
) (c content, err error) {
	var replay *verify.Replay
	c.Inspection, err = run(func(in sqlite.Inspection) func(lock.Segment) error {
		p.Set(0, size)
		c.check, replay = verify.NewSegmentVerifier(in.Cut, in.Key), verify.NewReplay(in.Cut.Seq)
		return func(g lock.Segment) error {
			p.Count(int64(len(g.Bytes)), g.Count)
			return verify.CheckSegment(c.check, replay, g, in.Cut.Seq)
		}
	})
	if ctx.Err() != nil {
		return c, ctx.Err()
	}
	if err != nil {
		return c, exitcode.As(exitcode.Tampered, err)
	}
	if key != nil && !key.Equal(c.Key) {
		return c, exitcode.As(exitcode.Tampered, fmt.Errorf("it is signed by %s, not by %s", keyText(c.Key), record.FormatKey(key)))
	}
	if err := c.check.End(c.Head); err != nil {
		return c, exitcode.As(exitcode.Tampered, err)
	}
	differences, _ := replay.Differences(c.Leases)
	if differences = append(differences, replay.Faults()...); len(differences) > 0 {
		return c, exitcode.As(exitcode.Tampered, fmt.Errorf("records and leases contradict each other: %s", strings.Join(differences, "; ")))
	}
	return c, nil
}

func keyText(key ed25519.PublicKey) string {
	if key == nil {
		return "no key"
	}
	return record.FormatKey(key)
}

// String returns what the backup has, as sentences.
func (c content) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s; the chain of %s leads to them.\n",
		text.Count(int64(len(c.Leases)), "lease"), text.Count(int64(c.Tokens), "token"), text.Count(c.check.Records, "record"))
	if c.check.Vouched > 0 {
		fmt.Fprintf(&b, "Checkpoints by %s vouch for the records up to %d of %d.\n", keyText(c.Key), c.check.Vouched, c.Head.Seq)
	} else {
		fmt.Fprintf(&b, "No checkpoint has signed the records up to %d yet.\n", c.Head.Seq)
	}
	if !c.check.Newest.IsZero() {
		fmt.Fprintf(&b, "The newest record is of %s.\n", c.check.Newest.UTC().Format(time.RFC3339))
	}
	return b.String()
}
