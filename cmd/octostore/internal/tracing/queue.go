package tracing

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/octostore/octostore/core/sparselog"
)

// queue takes ended spans and gives them to an exporter in batches, in a goroutine of its own. The
// library's processor does the work, with the limits of the variables OTEL_BSP_*; it drops what does not
// fit without a word, so the spans are counted around it.
type queue struct {
	sdk.SpanProcessor
	log    *slog.Logger
	sparse *sparselog.Log
	size   int64        // of the processor's queue
	ended  atomic.Int64 // spans that were given to the processor
	sent   atomic.Int64 // spans that were given to the exporter, whether it failed or not
	failed atomic.Int64 // spans of sent that the exporter could not deliver
	// dropped counts the spans that surely did not fit: those beyond what the processor can hold.
	dropped atomic.Int64

	closing sync.Once
}

// The sizes of the processor, and the variables that change them.
const (
	defaultQueue = sdk.DefaultMaxQueueSize
	defaultBatch = sdk.DefaultMaxExportBatchSize
)

func newQueue(exporter sdk.SpanExporter, log *slog.Logger, sparse *sparselog.Log) *queue {
	q := &queue{log: log, sparse: sparse}
	q.size = positive("OTEL_BSP_MAX_QUEUE_SIZE", defaultQueue) + positive("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", defaultBatch)
	q.SpanProcessor = sdk.NewBatchSpanProcessor(&countingExporter{exporter, q})
	return q
}

func positive(variable string, otherwise int64) int64 {
	n, err := strconv.ParseInt(os.Getenv(variable), 10, 32)
	if err != nil || n <= 0 {
		return otherwise
	}
	return n
}

// OnEnd takes a span. It does not block.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if over := q.ended.Add(1) - q.sent.Load() - q.dropped.Load() - q.size; over > 0 {
		q.dropped.Add(over)
		q.sparse.Log(slog.LevelWarn, "dropped", "spans were dropped, because the collector does not keep up")
	}
	q.SpanProcessor.OnEnd(s)
}

// Shutdown is called by each provider that uses the queue; close ends it.
func (q *queue) Shutdown(context.Context) error { return nil }

// close sends what is left until ctx ends, and logs what was lost.
func (q *queue) close(ctx context.Context) (err error) {
	q.closing.Do(func() {
		err = q.SpanProcessor.Shutdown(ctx)
		if lost := q.ended.Load() - q.sent.Load() + q.failed.Load(); lost > 0 {
			q.log.Warn("spans were lost", "lost", lost, "sent", q.sent.Load()-q.failed.Load())
		}
		q.sparse.Close()
	})
	return err
}

// countingExporter counts the spans of a queue that an exporter delivered, and logs failures.
type countingExporter struct {
	sdk.SpanExporter
	of *queue
}

// ExportSpans never fails: the library would write the error to standard error.
func (e *countingExporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.of.sent.Add(int64(len(spans)))
	if err != nil {
		e.of.failed.Add(int64(len(spans)))
		e.of.sparse.Log(slog.LevelWarn, "export", "spans could not be sent", slog.Any("err", err), slog.Int("spans", len(spans)))
	}
	return nil
}
