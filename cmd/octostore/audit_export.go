package main

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
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/transport/client"
)

func auditExportCommand() *cobra.Command {
	var query client.AuditQuery
	var output, state, format string
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the record of what happened to a file",
		Long: "Write the record of what happened to a file, to keep it elsewhere. Without filters it\n" +
			"can be verified. A file that is there already is refused, unless --overwrite says to\n" +
			"replace it. With --state it goes on where it ended the last time: what is new is\n" +
			"appended to the file, or begins another one if -o names another.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case format != "ndjson" && format != "csv":
				return exitcode.Usagef("--format is %q; want ndjson or csv", format)
			case state != "" && (output == "-" || format == "csv" || query.Limit > 0 || overwrite):
				return exitcode.Usagef("--state needs a file (-o), and does not go with --format csv, --limit or --overwrite")
			}
			c, err := session.NewClient()
			if err != nil {
				return err
			}
			e := exporter{client: c, query: query, rows: format == "csv", progress: newProgress(cmd.ErrOrStderr())}
			defer e.progress.end()
			switch {
			case state != "":
				return e.resume(cmd.Context(), output, state)
			case output == "-":
				_, err := e.section(cmd.Context(), terminal.Exact(cmd.OutOrStdout()))
				return err
			}
			return e.whole(cmd.Context(), output, overwrite)
		},
	}
	auditFilterFlags(cmd, &query)
	cmd.Flags().StringVarP(&output, "output", "o", "-", "write to this `file`; - is the standard output")
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace the file of -o if it is there")
	cmd.Flags().StringVar(&state, "state", "", "remember in this `file` where the export ended, and go on there")
	cmd.Flags().StringVar(&query.Since, "since", "", "begin with the first record of this `time`, or this long ago, such as 24h")
	cmd.Flags().StringVar(&query.Until, "until", "", "end before the first record of this `time`, or this long ago")
	cmd.Flags().StringVar(&query.After, "after", "", "begin after this `cursor`")
	cmd.Flags().Int64Var(&query.Limit, "limit", 0, "write at most this many records")
	cmd.Flags().StringVar(&format, "format", "ndjson", "`ndjson`, or csv for spreadsheets")
	return cmd
}

// exporter writes exports to files.
type exporter struct {
	client   *client.Client
	query    client.AuditQuery
	rows     bool        // written as CSV, of an export whose closing line was seen
	before   exportState // that the export is to go on from; zero: it begins
	progress *progress
}

// ending is what the closing line of an export says.
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
			return end, fmt.Errorf("records after %s were pruned before they could be exported; to go on with what is left, begin anew, with another file and state, with --after %s", e.query.After, oldest)
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
		if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
			return end, fmt.Errorf("the export broke off: %w", err)
		}
		if err := e.goesOn(n, line, &end); err != nil {
			return end, err // nothing has been written yet
		}
		if _, err := out.Write(line); err != nil {
			return end, err
		}
		e.progress.add(line)
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
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".partial-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone by then, unless something failed
	defer f.Close()
	if _, err := e.section(ctx, f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if overwrite {
		return os.Rename(f.Name(), path)
	}
	return name(f.Name(), path)
}

// name gives a file its name, unless another has it by now.
func name(temporary, path string) error {
	err := os.Link(temporary, path)
	if errors.Is(err, fs.ErrExist) {
		return fileThere(path)
	}
	if err == nil {
		return os.Remove(temporary)
	}
	// The file system has no links.
	if _, err := os.Stat(path); err == nil {
		return fileThere(path)
	}
	return os.Rename(temporary, path)
}

func fileThere(path string) error {
	return fmt.Errorf("%s is there already; name another file, or give --overwrite to replace it", path)
}

// into writes an export into what is there already.
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

// progress shows how far a long export is, on a terminal only.
type progress struct {
	w       io.Writer // nil: nobody looks
	records int64
	bytes   int64
	begun   time.Time
	shown   time.Time
}

func newProgress(w io.Writer) *progress {
	p := &progress{begun: time.Now()}
	if terminal.Is(w) {
		p.w = terminal.Raw(w) // it goes back to the beginning of the line
	}
	return p
}

func (p *progress) add(line []byte) {
	p.records++
	p.bytes += int64(len(line))
	if p.w == nil || p.records%1000 != 0 {
		return
	}
	if now := time.Now(); now.Sub(p.begun) > time.Second && now.Sub(p.shown) > 200*time.Millisecond {
		p.shown = now
		fmt.Fprintf(p.w, "\r%s, %.1f MiB ", text.Count(p.records, "record"), float64(p.bytes)/(1<<20))
	}
}

func (p *progress) end() {
	if !p.shown.IsZero() {
		fmt.Fprintf(p.w, "\r%s, %.1f MiB\n", text.Count(p.records, "record"), float64(p.bytes)/(1<<20))
	}
}
