package terminal

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is a terminal of 80 columns that a test looks at.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) IsTerminal() bool { return true }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// written returns what was written so far, line what a person sees of it.
func (s *screen) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *screen) line(t *testing.T) string {
	t.Helper()
	var columns []byte
	at := 0
	for _, c := range []byte(s.written()) {
		switch c {
		case '\r':
			at = 0
		case '\b':
			at--
		default:
			for at >= len(columns) {
				columns = append(columns, ' ')
			}
			columns[at] = c
			at++
		}
		if at >= 80 {
			t.Fatalf("a line of %d columns wraps", at)
		}
	}
	return strings.TrimRight(string(columns), " ")
}

func TestProgressLines(t *testing.T) {
	for _, test := range []struct {
		done, total int64
		records     int
		want        string
	}{
		{0, 0, 0, "backup: 10s"},
		{0, 1 << 30, 0, "backup: 0%, 0 B of 1.0 GiB, 10s"},
		{256 << 20, 1 << 30, 0, "backup: 25%, 256.0 MiB of 1.0 GiB, 25.6 MiB/s, 30s left"},
		{1 << 30, 1 << 30, 0, "backup: 100%, 1.0 GiB of 1.0 GiB, 102.4 MiB/s, 10s"},
		{2 << 30, 1 << 30, 0, "backup: 100%, 2.0 GiB, 204.8 MiB/s, 10s"},
		{5120, 0, 12, "backup: 12 records, 5.0 KiB, 512 B/s, 10s"},
	} {
		p := &Progress{verb: "backup"}
		p.Set(test.done, test.total)
		p.Count(0, test.records)
		if got := p.line(10 * time.Second); got != test.want {
			t.Errorf("%d of %d, %d records: %q, want %q", test.done, test.total, test.records, got, test.want)
		}
	}
}

// A line is drawn over the one before, and nothing is left of it in the end.
func TestProgressLeavesNothing(t *testing.T) {
	s := new(screen)
	p := newProgress(s, "backup", 0, time.Millisecond)
	p.Expect(1000)
	from := p.Reader(strings.NewReader(strings.Repeat("x", 1000)))
	if _, err := io.CopyN(io.Discard, from, 500); err != nil {
		t.Fatal(err)
	}
	shows := func(what string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !strings.Contains(s.line(t), what); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q, want %q", s.line(t), what)
			}
		}
	}
	shows("backup: 50%, 500 B of 1000 B")
	p.Pause(func() {
		if got := s.line(t); got != "" {
			t.Errorf("%q is there when something else is written", got)
		}
	})
	p.Set(1, 0)
	shows("backup: 1 B, ")
	if strings.Contains(s.line(t), "of 1000") {
		t.Errorf("a part of the longer line before: %q", s.line(t))
	}
	p.End()
	p.End()
	if got := s.line(t); got != "" {
		t.Errorf("left: %q", got)
	}
}

// Output that is no terminal gets nothing, nor does a command that is done at once.
func TestProgressIsSilent(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "backup", 0, time.Millisecond)
	if p != nil {
		t.Error("there is a progress for a buffer")
	}
	p.Set(1, 2)
	p.Expect(1)
	p.Count(1, 1)
	p.Pause(func() { out.WriteString("x") })
	if n, err := io.Copy(io.Discard, p.Reader(strings.NewReader("abc"))); n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	p.End()
	if out.String() != "x" {
		t.Errorf("written: %q", out.String())
	}
	s := new(screen)
	short := NewProgress(s, "backup")
	short.Set(1, 2)
	short.End()
	if s.written() != "" {
		t.Errorf("a short command wrote %q", s.written())
	}
	t.Setenv("TERM", "dumb")
	if NewProgress(s, "backup") != nil {
		t.Error("there is a progress for a terminal that cannot go back")
	}
	if _, err := (&countedReader{errReader{}, new(Progress)}).Read(nil); err == nil {
		t.Error("the error of a reader is lost")
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("broken") }
