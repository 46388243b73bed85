package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/internal/conn"
)

// A client that does not get its grant must not hold the lock. So the serving node sends the head of a
// grant's answer, which names it ([AskHeader]), and the rest only when the forwarding node has asked
// for it:
//
//   - until the serving node has agreed, it undoes the grant if the connection breaks,
//   - after that only if the forwarding node says that it could not deliver it,
//   - and if the forwarding node dies in between, the lease runs to its end: the client may have it.

const (
	wordTimeout = 5 * time.Second
	// undoFor is how long the forwarding node tries to say that it could not deliver a grant. The
	// serving node remembers the grant for longer, see undoTime.
	undoFor   = 10 * time.Second
	undoPause = 100 * time.Millisecond
)

var errLeft = fmt.Errorf("%w before its grant was delivered", lock.ErrGone)

// askFor asks the serving node whether a grant may be delivered. With an error it must not be.
func (p *passage) askFor(id string) error {
	if p.hasLeft() {
		return errLeft // the connection to the serving node is closed: the grant is undone
	}
	err := p.f.say(context.WithoutCancel(p.in.Context()), p.to.Target, wordDeliver, id)
	switch {
	case errors.Is(err, lock.ErrTooLate):
		return err
	case err != nil: // it may have agreed
		p.f.undo(p.to, id)
		p.f.log("not agreed", "the serving node did not agree that a grant may be delivered", err)
		return lock.ErrOutcomeUnknown
	case p.hasLeft():
		p.f.undo(p.to, id)
		return errLeft
	}
	p.ask = id
	return nil
}

// hasLeft reports whether the client has closed its connection.
func (p *passage) hasLeft() bool {
	return p.left.Load() || p.in.Context().Err() != nil || conn.HasHungUp(p.own)
}

// settle undoes a grant that might be delivered, unless the whole answer has left the process. A client that
// has all of it may leave at once: what fails after that says nothing.
func (p *passage) settle(whole bool) {
	if p.ask == "" || p.out.whole {
		return
	}
	if whole && p.out.err == nil {
		err := p.out.FlushError()
		whole = err == nil || errors.Is(err, http.ErrNotSupported)
	}
	if !whole || p.out.err != nil && !errors.Is(p.out.err, http.ErrNotSupported) {
		p.f.undo(p.to, p.ask)
	}
}

// undo tells the serving node that a grant was not delivered. It does not wait for that. The caller is a
// passage, for which Close waits.
func (f *Forwarder) undo(to *crossing, id string) {
	f.undone.Add(1)
	f.busy.Go(func() {
		ctx, end := context.WithTimeout(to.words, undoFor)
		defer end()
		for {
			err := f.say(ctx, to.Target, wordUndo, id)
			if err == nil {
				return
			}
			select {
			case <-ctx.Done():
				f.log("not undone", "a grant that its client did not get was not undone, so its lease runs to its end", err)
				return
			case <-time.After(undoPause):
			}
		}
	})
}

func (f *Forwarder) log(kind, text string, err error) {
	f.sparse.Log(slog.LevelWarn, kind, text, slog.Any("err", err))
}

// Reach returns nil if the node at the URL of the target serves the term of the target. Any other node, or
// another program, may listen there.
func (f *Forwarder) Reach(ctx context.Context) error {
	to, serves := f.cfg.Target()
	if !serves {
		return lock.ErrDeposed
	}
	return f.say(ctx, to, wordHere, "")
}

// say tells the serving node something about a grant, or asks it whether it is there, and returns nil if it
// agrees.
func (f *Forwarder) say(ctx context.Context, to Target, word, id string) error {
	ctx, end := context.WithTimeout(ctx, wordTimeout)
	defer end()
	at := url.URL{Scheme: to.URL.Scheme, Host: to.URL.Host, Path: wordPath + word, RawQuery: url.Values{"ask": {id}}.Encode()}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), http.NoBody)
	if err != nil {
		return err
	}
	r.Header[Header] = []string{claim{kind: kindWord, term: to.Term, at: time.Now()}.sign(f.cfg.Key, r.Method, r.URL.RequestURI())}
	answer, err := f.words.RoundTrip(r)
	if err != nil {
		return err
	}
	_ = answer.Body.Close() // it is empty
	switch answer.StatusCode {
	case http.StatusNoContent:
		return nil
	case http.StatusConflict:
		return lock.ErrTooLate
	}
	return fmt.Errorf("the serving node answers %s", answer.Status)
}
