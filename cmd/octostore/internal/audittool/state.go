package audittool

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/octostore/octostore/cmd/octostore/internal/filelock"
	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/transport/client"
)

// sectionRecords is the largest number of records in a section of a resumed export. An
// incomplete section is written again.
const sectionRecords = 100_000

// exportState is where a resumed export ended.
type exportState struct {
	Cursor string `json:"cursor"`
	Output string `json:"output"` // absolute
	Size   int64  `json:"size"`   // of the output then; what is behind it was never completed
	Filter string `json:"filter"` // as flags; empty: none

	// Of the last record, and of the server; empty: not known yet.
	Hash string `json:"hash"`
	Key  string `json:"key"`
}

// replaced is the error of an export that does not continue the one before.
func (s *exportState) replaced(why string) error {
	return fmt.Errorf(
		"the journal of this server does not go on from record %s, the last that was exported (%s): "+
			"its database was replaced, perhaps by a backup, or it is another server. "+
			"What was exported stays as it is; begin anew, with another file and state",
		s.Cursor,
		why,
	)
}

// goesOn checks the n-th line of an export: the first has the key of the server before,
// the second, which is the first record unless some are filtered out, the hash of the
// last record that was exported.
func (e *exporter) goesOn(n int, line []byte, end *ending) error {
	if n > 2 || !bytes.HasSuffix(line, []byte("\n")) {
		return nil
	}
	var says struct {
		Key, Prev string
		Seq       int64
	}
	if err := json.Unmarshal(line, &says); err != nil {
		return fmt.Errorf("the server sent what is not an export: %w", err)
	}
	switch s := &e.before; {
	case n == 1:
		end.key = says.Key
		if s.Key != "" && says.Key != s.Key {
			return s.replaced("its key is " + says.Key + ", it was " + s.Key)
		}
	case s.Hash != "" && s.Filter == "" && says.Seq != 0 && says.Prev != s.Hash:
		return s.replaced("the next record has another hash of it")
	}
	return nil
}

// filterFlags writes the filters of an export as flags.
func filterFlags(q client.AuditQuery) string {
	var flags []string
	for _, f := range []struct{ name, value string }{
		{"prefix", q.Prefix}, {"kind", q.Kind}, {"account", q.Account}, {"decision", q.Decision},
	} {
		if f.value != "" {
			flags = append(flags, fmt.Sprintf("--%s %s", f.name, f.value))
		}
	}
	return strings.Join(flags, " ")
}

// resume writes what is new, section by section, and remembers after each where it
// is.
func (e *exporter) resume(ctx context.Context, output, statePath string) error {
	output, err := filepath.Abs(output)
	if err != nil {
		return err
	}
	alone, err := lockState(statePath)
	if err != nil {
		return err
	}
	defer alone.Close()
	state, err := readState(statePath)
	if err != nil {
		return err
	}
	if filter := filterFlags(e.query); state.Output == "" {
		state.Filter = filter
	} else if filter != state.Filter {
		return fmt.Errorf("%s is the state of an export with %s, this one is with %s; give the same filters, or another state and file",
			statePath, cmp.Or(state.Filter, "no filters"), cmp.Or(filter, "no filters"))
	}
	f, err := openOutput(output, &state)
	if err != nil {
		return err
	}
	defer f.Close()
	// From now on the file is known to be ours, even if nothing comes to stand in it.
	if err := writeState(statePath, state); err != nil {
		return err
	}
	e.query.Limit = sectionRecords
	for {
		if state.Cursor != "" {
			e.query.After, e.query.Since, e.before = state.Cursor, "", state
		}
		end, err := e.section(ctx, f)
		if err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if state.Size, err = f.Seek(0, io.SeekCurrent); err != nil {
			return err
		}
		state.Cursor, state.Key, state.Hash = end.Last, end.key, cmp.Or(end.Hash, state.Hash)
		if err := writeState(statePath, state); err != nil {
			return err
		}
		// until stops an export too; then the next section is empty.
		if !end.More || end.Records == 0 {
			return nil
		}
	}
}

// lockState prevents a second export from writing into the same file at the same time. The
// lock ends with the process, or when the file is closed.
func lockState(path string) (*os.File, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := filelock.Try(f); err != nil {
		f.Close()
		if errors.Is(err, filelock.ErrLocked) {
			return nil, fmt.Errorf("another export with the state %s is under way", path)
		}
		return nil, fmt.Errorf("lock %s.lock: %w", path, err)
	}
	return f, nil
}

func readState(path string) (s exportState, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if json.Unmarshal(text, &s) != nil || s.Output == "" {
		return s, fmt.Errorf("%s is not the state of an export; remove it to begin anew", path)
	}
	return s, nil
}

// writeState replaces the state in one step.
func writeState(path string, s exportState) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return files.Replace(path, append(text, '\n'))
}

// openOutput opens the output for the next section: after the last complete section, or a
// new file.
func openOutput(path string, state *exportState) (*os.File, error) {
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file, so nothing can go on in it; --state needs one", path)
	}
	if state.Output != path {
		state.Output, state.Size = path, 0
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("%s is there already, and the state is not of it; name another file, or move it away", path)
		}
		return f, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("go on with the export: %w; name another file to begin one", err)
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() < state.Size {
		err = fmt.Errorf("%s has %d bytes; when it was completed it had %d", path, fi.Size(), state.Size)
	}
	if err == nil {
		err = f.Truncate(state.Size)
	}
	if err == nil {
		_, err = f.Seek(state.Size, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
