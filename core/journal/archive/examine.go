package archive

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
)

// Examination is what [Examine] finds in a folder.
type Examination struct {
	Files  int
	Bytes  int64
	Drafts int // files that are being written, or that a crash has left
	// Begins is the cursor from which all records up to Last can be read; Last and Newest are
	// the newest record and its time. Gaps is how many times files before do not go on from
	// each other.
	Begins, Last lock.Seq
	Newest       time.Time
	Gaps         int
}

// Examine looks at a folder without a server, and changes nothing. All files must be by the
// key; if that is nil, by one key. It reads their first and last lines only.
func Examine(ctx context.Context, dir string, key ed25519.PublicKey) (e Examination, err error) {
	if key == nil {
		if key, err = keyOf(dir); err != nil {
			return e, err
		}
	}
	l, drafts, err := list(ctx, dir, key, nil)
	if err != nil {
		return e, err
	}
	e.Files, e.Bytes, e.Drafts = len(l.files), l.bytes(), len(drafts)
	for i := range l.files {
		f := &l.files[i]
		if i > 0 && f.after > e.Last {
			e.Gaps++
		}
		if f.last.Seq > e.Last {
			e.Last, e.Newest = f.last.Seq, f.newest
		}
	}
	e.Begins = l.begin(e.Last)
	return e, nil
}

// keyOf returns the key that the first file in a folder names, nil if there is no file.
func keyOf(dir string) (ed25519.PublicKey, error) {
	paths, err := Files(dir)
	if err != nil || len(paths) == 0 {
		return nil, err
	}
	in, err := os.Open(paths[0])
	if err != nil {
		return nil, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	first, err := lineAt(in, 0, info.Size())
	var o record.Opening
	if err == nil {
		err = json.Unmarshal(first, &o)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", paths[0], errDamaged)
	}
	return record.ParseKey(o.Key)
}

// Files returns the paths of the files in a folder, in the order of their records. Other
// files are left out.
func Files(dir string) ([]string, error) {
	all, err := os.ReadDir(dir) // in the order of names
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range all {
		if _, ours := parseName(e.Name()); ours {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}
