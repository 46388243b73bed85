package table

import (
	"context"
	"errors"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Tracer follows requests through a table. Its methods are safe for use by many goroutines, quick,
// and do not block.
type Tracer interface {
	// Of returns the trace of the request that a context belongs to; nil: the request is not traced.
	Of(ctx context.Context) Trace
	// Committed is called by the loop after a commit, before its answers leave, if it answers traced
	// requests. It has the number of records in the batch and the error of the commit. The slice is
	// used again after the call.
	Committed(began, ended time.Time, records int, err error, requests []Trace)
}

// Trace is a traced request.
type Trace interface {
	// Queued is called after the request has left the queue of a lock, with the lock or without: err is
	// nil if it got the lock.
	Queued(from, to time.Time, err error)
}

func (t *Table) traceOf(ctx context.Context) Trace {
	if t.cfg.Tracer == nil {
		return nil
	}
	return t.cfg.Tracer.Of(ctx)
}

// traceQueue tells the tracer how long a request waited, if it was in a queue.
func (c *request) traceQueue() {
	r := &c.reply
	switch {
	case r.Err == nil && r.Waited > 0:
		c.trace.Queued(c.At, c.At.Add(r.Waited), nil)
	case r.Err != nil && (c.crossed || errors.Is(r.Err, lock.ErrDraining)):
		c.trace.Queued(c.At, time.Now(), r.Err)
	}
}

// traceCommit tells the tracer of the commit of the present batch.
func (t *Table) traceCommit(began, ended time.Time, err error) {
	for c, r := range t.m.Replies(nil) {
		if to, _ := c.Caller.(*request); to != nil && to.trace != nil && r.Turn == nil {
			t.traced = append(t.traced, to.trace)
		}
	}
	if len(t.traced) > 0 {
		t.cfg.Tracer.Committed(began, ended, len(t.m.Events()), err, t.traced)
	}
	t.traced = reused(t.traced)
}
