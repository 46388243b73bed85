package locktool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/core/sleep"
	"github.com/octostore/octostore/transport/client"
)

// Watch is a watch of events that goes on after a lost connection.
type Watch struct {
	Client *client.Client
	Query  client.WatchQuery
	JSON   bool
	Out    io.Writer // a line for each event
	Errors io.Writer // is told of lost connections and gaps

	lost bool // the connection, and it has been said
}

// retryAfter is the pause before a watch connects again.
const retryAfter = time.Second

// Run prints events until ctx ends, which is no error, or until the server refuses.
func (w *Watch) Run(ctx context.Context) error {
	if w.JSON {
		w.Out = terminal.Exact(w.Out)
	}
	reached := false // the server, once
	for {
		err := w.once(ctx, &reached)
		switch {
		case ctx.Err() != nil:
			return nil // that is how it is ended
		case !reached || !passes(err):
			return err
		}
		if !w.lost {
			fmt.Fprintf(w.Errors, "octostore: the connection is lost; connecting again: %v\n", err)
			w.lost = true
		}
		if sleep.For(ctx, retryAfter) != nil {
			return nil
		}
	}
}

// passes reports whether a later request may succeed where this one failed.
func passes(err error) bool {
	if down, is := errors.AsType[*client.UnreachableError](err); is {
		return !down.Untrusted()
	}
	answered, is := errors.AsType[*client.Error](err)
	return is && (answered.Status >= 500 || answered.Status == http.StatusTooManyRequests)
}

// once prints the events of one connection.
func (w *Watch) once(ctx context.Context, reached *bool) error {
	for e, err := range w.Client.Watch(ctx, w.Query) {
		if err != nil {
			return err
		}
		*reached = true
		if w.lost {
			fmt.Fprintln(w.Errors, "octostore: connected again")
			w.lost = false
		}
		if err := w.print(e); err != nil {
			return err
		}
		w.Query.After = e.ID
	}
	return nil
}

func (w *Watch) print(e client.WatchEvent) error {
	switch {
	case e.Kind == client.KindGap:
		_, err := fmt.Fprintln(w.Errors, "octostore: events are missing here: the server pruned them before they could be sent")
		return err
	case len(e.Data) == 0 || e.Kind == "":
		return nil
	case w.JSON:
		_, err := fmt.Fprintf(w.Out, "%s\n", e.Data)
		return err
	}
	line, err := Event(e.Data)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w.Out, line)
	return err
}
