package metrics

import (
	"slices"
	"testing"

	"github.com/octostore/octostore/core/table"
	dto "github.com/prometheus/client_model/go"
)

// Buckets are cumulative on the wire and are not in the core.
func TestHistogramsAreCumulative(t *testing.T) {
	m := constHistogram(descBatch, table.Histogram{Bounds: []float64{1, 2, 4}, Counts: []uint64{3, 0, 2, 1}, Sum: 20})
	var got dto.Metric
	if err := m.Write(&got); err != nil {
		t.Fatal(err)
	}
	var cumulative []uint64
	for _, b := range got.GetHistogram().GetBucket() {
		cumulative = append(cumulative, b.GetCumulativeCount())
	}
	if !slices.Equal(cumulative, []uint64{3, 3, 5}) || got.GetHistogram().GetSampleCount() != 6 || got.GetHistogram().GetSampleSum() != 20 {
		t.Errorf("got %v", got.GetHistogram())
	}
}
