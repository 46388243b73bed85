package hooks

import (
	"context"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/hooks/internal/guest"
)

// Tracer records spans of the calls of policies. It is safe for use by many goroutines.
type Tracer interface {
	// Call begins the span of a call, for the request that a context belongs to. It returns the function
	// that ends it; nil: the request is not traced. The verdict is allow, deny or error; with error, kind
	// says why there is no other.
	Call(ctx context.Context, policy string, hook core.Hook, phase core.Phase) func(verdict, kind string, fuel int64)
}

// askTraced is ask with a span, if the request is traced. The time that a call waits for its guest slot
// is part of the span.
func (p *policy) askTraced(ctx context.Context, j *judgement) guest.Answer {
	if p.engine.tracer == nil {
		return p.ask(ctx, j)
	}
	end := p.engine.tracer.Call(ctx, p.Name, j.Question.Hook, j.Question.Phase)
	o := p.ask(ctx, j)
	switch {
	case end == nil:
	case o.Fault != nil:
		end("error", o.Fault.Kind, o.Fuel)
	case o.Denies:
		end("deny", "", o.Fuel)
	default:
		end("allow", "", o.Fuel)
	}
	return o
}
