package bench

import (
	"fmt"
	"html"
	"io"
	"strings"
)

// Sizes in the picture, in pixels.
const (
	plotWidth   = 760
	plotMargin  = 16
	plotNames   = 96  // width of the names
	plotFigures = 190 // width of the figures behind the longest bar
	plotLine    = 24
	plotBar     = 14
	plotTitle   = 40
)

// plotStyle has the colours of light and dark pages.
const plotStyle = `<style>
  svg { font: 13px system-ui, sans-serif; }
  .page { fill: #ffffff; } text { fill: #1f2328; } .note { fill: #59636e; }
  .bar { fill: #afb8c1; } .ceiling { fill: #d8dee4; } .octostore { fill: #0969da; }
  .spread { stroke: #1f2328; stroke-width: 1; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } text { fill: #e6edf3; } .note { fill: #9198a1; }
    .bar { fill: #59636e; } .ceiling { fill: #30363d; } .octostore { fill: #4493f8; } .spread { stroke: #e6edf3; }
  }
</style>
`

// WritePlot writes the report of mode compare as a picture: an SVG document with a bar for
// each server in each workload, and a line from the lowest to the highest round.
func (r *Report) WritePlot(w io.Writer) error {
	var body strings.Builder
	y := plotMargin
	for _, work := range r.workloads() {
		y = work.plot(&body, y)
	}
	fmt.Fprintf(&body, `<text class="note" x="%d" y="%d">%s</text>`+"\n", plotMargin, y+plotLine-8, html.EscapeString(r.plotNote()))
	height := y + plotLine + plotMargin/2
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d"
  role="img" aria-labelledby="title">
<title id="title">OctoStore beside other programs that people take locks from</title>
%[3]s<rect class="page" width="%[1]d" height="%[2]d"/>
%[4]s</svg>
`, plotWidth, height, plotStyle, body.String())
	return err
}

// plotNote says where the figures are from.
func (r *Report) plotNote() string {
	note := fmt.Sprintf("%s, %d CPUs, load generator beside the servers; medians of %s", r.System, r.CPUs, many(r.Rounds, "round"))
	if r.Time != "" {
		note += ", " + r.Time[:min(len(r.Time), len("2006-01-02"))]
	}
	return note
}

// plot draws a workload from y on, and returns where the next begins.
func (w *workload) plot(b *strings.Builder, y int) int {
	better := "longer is better"
	if w.latency {
		better = "shorter is better"
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="600">%s <tspan class="note" font-weight="400">%s, %s</tspan></text>`+"\n",
		plotMargin, y+plotTitle/2, html.EscapeString(w.title), w.unit, better)
	y += plotTitle - 8
	scale := float64(plotWidth-2*plotMargin-plotNames-plotFigures) / w.highest()
	for _, row := range w.rows {
		w.plotRow(b, row, y, scale)
		y += plotLine
	}
	return y + plotMargin/2
}

// highest is the largest figure of a round.
func (w *workload) highest() float64 {
	most := w.longest()
	for _, row := range w.rows {
		if _, rounds := w.figure(row); rounds != nil {
			most = max(most, rounds.Max)
		}
	}
	return max(most, 1e-9)
}

func (w *workload) plotRow(b *strings.Builder, row Row, y int, scale float64) {
	class := "bar"
	if row.Name == octoStore || row.Name == "ceiling" {
		class = row.Name
	}
	figure, rounds := w.figure(row)
	left, middle := float64(plotMargin+plotNames), float64(y)+plotBar/2
	end := left + figure*scale
	fmt.Fprintf(b, `<text x="%d" y="%d">%s</text>`, plotMargin, y+12, html.EscapeString(row.Name))
	fmt.Fprintf(b, `<rect class="%s" x="%.0f" y="%d" width="%.1f" height="%d" rx="2"/>`, class, left, y, figure*scale, plotBar)
	if rounds != nil {
		end = max(end, left+rounds.Max*scale)
		fmt.Fprintf(b, `<line class="spread" x1="%.1f" x2="%.1f" y1="%.1f" y2="%[3]g"/>`, left+rounds.Min*scale, left+rounds.Max*scale, middle)
	}
	text := w.figureText(figure)
	if ratio := w.ratio(row); ratio != nil {
		text += fmt.Sprintf(" · octostore × %.2f", ratio.Median)
	}
	fmt.Fprintf(b, `<text x="%.0f" y="%d">%s</text>`+"\n", end+8, y+12, html.EscapeString(text))
}
