// Package backuptool makes backups of a database, from its file or from a server, verifies
// them, and restores them.
//
// No file that is not complete ever has the name that was asked for, and a database is
// replaced in one step.
package backuptool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/client"
)

// Source is the database to back up: a file, or that of a server.
type Source struct {
	File   string
	Client *client.Client // not nil: of a server
	Name   string         // of the source, for people
}

// Backup writes a backup to target, a file that must not exist yet, or - for w, and checks
// it. It shows its progress on errs, and says there what it did.
func (s Source) Backup(ctx context.Context, target string, w, errs io.Writer) error {
	p := terminal.NewProgress(errs, "backup")
	defer p.End()
	switch {
	case target != "-":
		if err := s.toFile(ctx, target, p); err != nil {
			return err
		}
	case terminal.Is(w):
		return exitcode.Usagef("a backup is no text for a terminal; redirect the output, or name a file")
	case s.Client == nil:
		return sqlite.BackupTo(ctx, s.File, terminal.Raw(w), p.Set)
	default:
		return s.receive(ctx, terminal.Raw(w), p)
	}
	p.End()
	return nil
}

func (s Source) toFile(ctx context.Context, target string, p *terminal.Progress) error {
	err := s.create(ctx, target, p)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; name another file: a backup never replaces one", target)
	}
	return err
}

func (s Source) create(ctx context.Context, target string, p *terminal.Progress) error {
	if s.Client == nil {
		return sqlite.Backup(ctx, s.File, target, p.Set)
	}
	if _, err := os.Lstat(target); err == nil {
		return fs.ErrExist // before a copy is made in vain
	}
	draft, err := files.NewDraft(target)
	if err != nil {
		return err
	}
	defer draft.Close()
	if err := s.receive(ctx, draft, p); err != nil {
		return err
	}
	if _, err := sqlite.Examine(ctx, draft.Name(), func(sqlite.Inspection) (none func(lock.Segment) error) { return nil }); err != nil {
		return fmt.Errorf("what the server sent is damaged: %w", err)
	}
	if err := draft.Create(); err != nil {
		return err
	}
	return syncFolder(target)
}

// receive writes the backup of a server to w.
func (s Source) receive(ctx context.Context, w io.Writer, p *terminal.Progress) error {
	b, err := s.Client.Backup(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	p.Set(0, b.Size)
	_, err = io.Copy(w, p.Reader(b))
	return err
}

// syncFolder makes the name of a new file durable.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
