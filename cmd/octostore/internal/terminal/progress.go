package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Progress is the line on a terminal that shows how far a long command is. It appears after
// a moment, so that short commands show none, never wraps, and leaves nothing behind. A nil
// Progress, which is that of output that is no terminal, shows nothing.
//
// Any goroutine may count. While there is a Progress nothing else may be written to the
// terminal; [Progress.Pause] is for what has to be.
type Progress struct {
	w    io.Writer
	verb string // what the command does: "backup"

	done, total, records atomic.Int64

	begun time.Time
	wait  time.Duration // before the line appears
	every time.Duration // between two drawings
	quit  chan struct{}
	end   sync.Once
	drawn sync.WaitGroup

	mu    sync.Mutex // guards what follows
	shown int        // columns of the line now
}

// NewProgress returns the progress of a command on w; nil if w is no terminal, or one that
// cannot go back to the beginning of a line. The caller ends it.
func NewProgress(w io.Writer, verb string) *Progress {
	const wait, every = 700 * time.Millisecond, 200 * time.Millisecond
	return newProgress(w, verb, wait, every)
}

func newProgress(w io.Writer, verb string, wait, every time.Duration) *Progress {
	if w == nil || !Is(w) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	p := &Progress{w: Raw(w), verb: verb, begun: time.Now(), wait: wait, every: every, quit: make(chan struct{})}
	p.drawn.Go(p.draw)
	return p
}

// Set sets how many bytes are done, and of how many; a total of 0 means that it is unknown.
func (p *Progress) Set(done, total int64) {
	if p != nil {
		p.done.Store(done)
		p.total.Store(total)
	}
}

// Expect adds to the total.
func (p *Progress) Expect(bytes int64) {
	if p != nil {
		p.total.Add(bytes)
	}
}

// Count counts bytes, and records, if there are such, as done.
func (p *Progress) Count(bytes int64, records int) {
	if p != nil {
		p.done.Add(bytes)
		p.records.Add(int64(records))
	}
}

// Reader returns r, and counts what is read of it.
func (p *Progress) Reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return &countedReader{r, p}
}

type countedReader struct {
	io.Reader
	p *Progress
}

func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.p.Count(int64(n), 0)
	return n, err
}

// Pause runs f without the line.
func (p *Progress) Pause(f func()) {
	if p == nil {
		f()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	f()
}

// End removes the line. No-op if already ended.
func (p *Progress) End() {
	if p == nil {
		return
	}
	p.end.Do(func() {
		close(p.quit)
		p.drawn.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.clear()
	})
}

func (p *Progress) draw() {
	next := time.NewTimer(p.wait)
	defer next.Stop()
	for {
		select {
		case <-p.quit:
			return
		case <-next.C:
		}
		p.show(p.line(time.Since(p.begun)))
		next.Reset(p.every)
	}
}

// show draws a line over the present one. The terminal may have another width by now, and a
// line that wraps could not be removed.
func (p *Progress) show(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	columns := Width(p.w) - 1 // in the last one, some terminals begin the next line
	line = line[:min(len(line), max(columns, 0))]
	rest := max(0, min(p.shown, columns)-len(line))
	_, _ = io.WriteString(p.w, "\r"+line+strings.Repeat(" ", rest)+strings.Repeat("\b", rest)) // if it fails, so does the command
	p.shown = len(line)
}

// clear removes the line. The caller holds mu.
func (p *Progress) clear() {
	if p.shown == 0 {
		return
	}
	_, _ = io.WriteString(p.w, "\r"+strings.Repeat(" ", min(p.shown, Width(p.w)-1))+"\r")
	p.shown = 0
}

// line returns the text of the line, in ASCII.
func (p *Progress) line(took time.Duration) string {
	done, total, records := p.done.Load(), p.total.Load(), p.records.Load()
	var parts []string
	if total > 0 {
		parts = append(parts, fmt.Sprintf("%d%%", min(100, 100*done/total)))
	}
	if records > 0 {
		parts = append(parts, fmt.Sprintf("%d records", records))
	}
	switch {
	case total > 0 && done <= total:
		parts = append(parts, bytesOf(done)+" of "+bytesOf(total))
	case done > 0:
		parts = append(parts, bytesOf(done))
	}
	seconds := took.Seconds()
	if done > 0 && seconds > 0 {
		parts = append(parts, bytesOf(int64(float64(done)/seconds))+"/s")
	}
	if done > 0 && done < total {
		left := time.Duration(seconds * float64(total-done) / float64(done) * float64(time.Second))
		parts = append(parts, left.Round(time.Second).String()+" left")
	} else {
		parts = append(parts, took.Round(time.Second).String())
	}
	return p.verb + ": " + strings.Join(parts, ", ")
}

// bytesOf returns a number of bytes for people.
func bytesOf(n int64) string {
	const kilo = 1 << 10
	size, unit := float64(n), "B"
	for _, larger := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if size < kilo {
			break
		}
		size, unit = size/kilo, larger
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}
