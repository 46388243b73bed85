package audittool

import (
	"fmt"
	"io"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
)

// progress shows how far a long export is, on a terminal only.
type progress struct {
	w       io.Writer // nil: not a terminal
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
