package audittool

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/transport/client"
)

// ExportConfig configures an export.
type ExportConfig struct {
	Client *client.Client
	Query  client.AuditQuery
	CSV    bool // rows for spreadsheets instead of NDJSON
	// Progress gets the progress of a long export, if it is a terminal.
	Progress io.Writer
}

func (c ExportConfig) exporter() *exporter {
	return &exporter{client: c.Client, query: c.Query, rows: c.CSV, progress: terminal.NewProgress(c.Progress, "export")}
}

// Stream writes an export to w. It fails if the export breaks off; the output then lacks
// the closing line.
func (c ExportConfig) Stream(ctx context.Context, w io.Writer) error {
	if terminal.Is(w) {
		c.Progress = nil // the records show how far it is
	}
	e := c.exporter()
	defer e.progress.End()
	_, err := e.section(ctx, w)
	return err
}

// File writes an export to a file, which appears only when it is complete. It replaces an
// existing file only with overwrite.
func (c ExportConfig) File(ctx context.Context, path string, overwrite bool) error {
	e := c.exporter()
	defer e.progress.End()
	return e.whole(ctx, path, overwrite)
}

// Resume appends the records since the last export with the same state file, or creates
// both files.
func (c ExportConfig) Resume(ctx context.Context, output, state string) error {
	e := c.exporter()
	defer e.progress.End()
	return e.resume(ctx, output, state)
}

// exporter writes exports to files.
type exporter struct {
	client   *client.Client
	query    client.AuditQuery
	rows     bool               // written as CSV, of an export whose closing line was seen
	before   exportState        // that the export is to go on from; zero: it begins
	progress *terminal.Progress // may be nil
}

// ending is the content of the closing line of an export.
type ending struct {
	End     bool   `json:"end"`
	Records int64  `json:"records"`
	Last    string `json:"last"`
	Hash    string `json:"hash"`
	More    bool   `json:"more"`

	key string // that the opening line names
}

// section writes one export. It fails if the closing line does not come.
func (e *exporter) section(ctx context.Context, w io.Writer) (end ending, err error) {
	body, err := e.client.Audit(ctx, e.query)
	if err != nil {
		if e.query.After == e.before.Cursor && e.before.Cursor != "" && isUnknownCursor(err) {
			return end, e.before.replaced("the server does not know it")
		}
		if oldest, expired := expiredCursor(err); expired {
			return end, fmt.Errorf(
				"records after %s were pruned before they could be exported; to go on with what is left, begin anew, with another file and state, with --after %s",
				e.query.After,
				oldest,
			)
		}
		return end, err
	}
	defer body.Close()
	if e.rows {
		w = &rowWriter{to: w}
	}
	out := bufio.NewWriterSize(w, 256<<10)
	lines := bufio.NewReaderSize(body, 256<<10)
	var last []byte
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
			return end, fmt.Errorf("the export broke off: %w", err)
		}
		if err := e.goesOn(n, line, &end); err != nil {
			return end, err // nothing has been written yet
		}
		if _, err := out.Write(line); err != nil {
			return end, err
		}
		if err == nil {
			e.progress.Count(int64(len(line)), 1)
		} else {
			e.progress.Count(int64(len(line)), 0) // a part of a long line, or the end
		}
		if len(line) > 0 && len(line) < 1024 {
			last = append(last[:0], line...)
		}
		if err == io.EOF {
			break
		}
	}
	if json.Unmarshal(last, &end) != nil || !end.End {
		return end, errors.New("the export broke off before its closing line")
	}
	return end, out.Flush()
}

// whole writes an export to a file, which is there only when it is complete. A file that
// was there is replaced only if overwrite says so. What is not a regular file, such as a
// pipe or a device, is written to as it is.
func (e *exporter) whole(ctx context.Context, path string, overwrite bool) error {
	fi, err := os.Stat(path)
	switch {
	case err == nil && !fi.Mode().IsRegular():
		return e.into(ctx, path)
	case err == nil && !overwrite:
		return fileThere(path)
	}
	draft, err := files.NewDraft(path)
	if err != nil {
		return err
	}
	defer draft.Close()
	if _, err := e.section(ctx, draft); err != nil {
		return err
	}
	if overwrite {
		return draft.Replace()
	}
	if err := draft.Create(); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return fileThere(path)
}

func fileThere(path string) error {
	return fmt.Errorf("%s is there already; name another file, or give --overwrite to replace it", path)
}

// into writes an export into an existing file.
func (e *exporter) into(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = e.section(ctx, f)
	return errors.Join(err, f.Close())
}

// rowWriter writes lines of an export as CSV. Only the server's NDJSON says whether it is
// complete.
type rowWriter struct {
	to   io.Writer
	csv  record.CSV
	part []byte // of a line whose end has not come yet
}

func (w *rowWriter) Write(p []byte) (int, error) {
	w.part = append(w.part, p...)
	end := bytes.LastIndexByte(w.part, '\n') + 1
	rows, err := w.csv.Encode(w.part[:end])
	if err != nil {
		return 0, fmt.Errorf("the server sent what is not a record: %w", err)
	}
	w.part = append(w.part[:0], w.part[end:]...)
	if _, err := w.to.Write(rows); err != nil {
		return 0, err
	}
	return len(p), nil
}
