package audittool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/core/journal/archive"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/content"
	"github.com/octostore/octostore/transport/client"
)

// Table is a lock table as a store keeps it. A server may be running on it.
type Table interface {
	// String returns its name for people.
	String() string
	// Inspect reads all of it at one moment, and calls each with all segments after an event,
	// in order. A segment is valid until each returns.
	Inspect(ctx context.Context, after lock.Seq, each func(lock.Segment) error) (content.Inspection, error)
}

// Source is where records come from: exports, a database, or else the server.
type Source struct {
	Exports []string    // files or folders of an archive, one after the other; - is the standard input
	Table   Table       // not nil: read this
	Kinds   []lock.Kind // others are not wanted

	Query  client.AuditQuery              // to the server; Kinds are added
	Client func() (*client.Client, error) // of the server
}

// Read passes all matching records to add, perhaps with others, until the first error.
func (s Source) Read(ctx context.Context, stdin io.Reader, add func(line []byte) error) error {
	if s.Table != nil {
		return s.table(ctx, add)
	}
	files, err := expand(s.Exports)
	if err != nil {
		return err
	}
	for _, name := range files {
		if err := exportFile(stdin, name, add); err != nil {
			return err
		}
	}
	if len(s.Exports) > 0 {
		return nil
	}
	return s.server(ctx, add)
}

func (s Source) server(ctx context.Context, add func(line []byte) error) error {
	c, err := s.Client()
	if err != nil {
		return err
	}
	var kinds []string
	for _, k := range s.Kinds {
		kinds = append(kinds, string(k))
	}
	s.Query.Kind = strings.Join(kinds, ",")
	body, err := c.Audit(ctx, s.Query)
	if err != nil {
		return err
	}
	defer body.Close()
	return readExport(body, add)
}

func exportFile(stdin io.Reader, name string, add func(line []byte) error) error {
	if name == "-" {
		return readExport(stdin, add)
	}
	f, err := os.Open(name)
	if err != nil {
		return err // it names the file
	}
	defer f.Close()
	if err := readExport(f, add); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (s Source) table(ctx context.Context, add func(line []byte) error) error {
	_, err := s.Table.Inspect(ctx, 0, func(g lock.Segment) error {
		for l := range record.Lines(g, 0) {
			if !slices.Contains(s.Kinds, l.Kind) {
				continue
			}
			if err := add(l.Bytes); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("--db: %w", err)
	}
	return err
}

// expand replaces each folder by the files of the archive in it.
func expand(names []string) (files []string, err error) {
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || !info.IsDir() {
			files = append(files, name) // opening it tells what is wrong
			continue
		}
		found, err := archive.Files(name)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s is a folder without files of an archive", name)
		}
		files = append(files, found...)
	}
	return files, nil
}

// readExport reads the records of an export. It fails for an incomplete export, which may
// lack the very records that matter.
func readExport(from io.Reader, add func(line []byte) error) error {
	err := record.ReadExport(from, add)
	if errors.Is(err, record.ErrIncomplete) {
		return exitcode.As(exitcode.Tampered, err)
	}
	return err
}
