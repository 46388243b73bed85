package forward

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/octostore/octostore/core/lock"
)

const (
	// AskHeader names a grant in its answer. The forwarding node may deliver the answer once the
	// serving node has agreed, see [Ask.Await].
	AskHeader = "Octostore-Ask"
	// wordPath is the beginning of the paths by which nodes speak about grants.
	wordPath = "/v1/forwarded/"

	wordDeliver = "deliver" // may this grant be delivered?
	wordUndo    = "undo"    // this grant could not be delivered
	wordHere    = "here"    // does this node serve the term?

	// askTimeout is how long a forwarding node may take until it asks for a grant.
	askTimeout = 10 * time.Second
	// undoTime is how long a grant that may be delivered can be undone, at least. A forwarding node
	// knows sooner whether its write failed.
	undoTime = 30 * time.Second
)

// Receiver is the serving side of forwarding, in one term. It is safe for use by many goroutines, and
// starts none.
type Receiver struct {
	key  []byte
	term int64

	mu      sync.Mutex
	asks    map[string]*Ask // under way, and allowed of late
	older   map[string]*Ask // allowed before that
	rotated time.Time
}

// NewReceiver returns the receiver of a node that serves a term. The key is that of [Config].
func NewReceiver(key []byte, term int64) *Receiver {
	return &Receiver{key: key, term: term, asks: map[string]*Ask{}}
}

// Sender says where a request came from.
type Sender uint8

// Senders.
const (
	Client Sender = iota // a client, or a header that no node has signed
	Node                 // a client, by way of a node
	Word                 // a node itself: the request is for [Receiver.ServeHTTP]
)

// Receive returns where a request came from. If another node has forwarded it, Receive sets its RemoteAddr
// to that of the client. The error wraps [lock.ErrDeposed] if the request is for another term, and also a
// [*SkewError] if it is too old.
func (v *Receiver) Receive(r *http.Request, now time.Time) (Sender, error) {
	c, ok := claimOf(v.key, r)
	if !ok {
		return Client, nil
	}
	if c.kind == kindWord {
		return Word, c.check(v.term, now)
	}
	r.RemoteAddr = c.client
	return Node, c.check(v.term, now)
}

// MayBeWord reports whether a request has the path of a [Word].
func MayBeWord(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, wordPath) }

// ServeHTTP answers what a node says about a grant, or asks of this one: 204 yes, 409 too late, 410 no.
// The caller has received the request as a [Word], without an error.
func (v *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := v.hear(strings.TrimPrefix(r.URL.Path, wordPath), r.URL.Query().Get("ask"))
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, lock.ErrTooLate):
		w.WriteHeader(http.StatusConflict)
	default:
		w.WriteHeader(http.StatusGone)
	}
}

// errNoAsk answers a word about a grant that is undone, or that was asked for before.
var errNoAsk = errors.New("there is no such grant")

func (v *Receiver) hear(word, id string) error {
	a := v.find(id)
	switch {
	case word == wordHere:
		return nil
	case word == wordUndo && a != nil:
		a.takeBack()
		return nil
	case word == wordUndo: // it was undone
		return nil
	case word == wordDeliver && a != nil:
		return a.allow()
	}
	return errNoAsk
}

func (v *Receiver) find(id string) *Ask {
	v.mu.Lock()
	defer v.mu.Unlock()
	if a := v.asks[id]; a != nil {
		return a
	}
	return v.older[id]
}

// Grant is what a forwarding node has to ask for before it delivers it.
type Grant struct {
	Token lock.Token // of its lease; 0: it is none
	// May returns why the grant may not be delivered now. It is called by the goroutine that answers
	// the forwarding node, at most once.
	May func() error
	// Undo is called once if the forwarding node could not deliver a grant that it might have.
	Undo func()
}

// Ask begins to ask for a grant. The caller puts its ID into the answer, sends the head, and calls
// [Ask.Await].
func (v *Receiver) Ask(g Grant) *Ask {
	a := &Ask{of: v, grant: g, id: strconv.FormatUint(uint64(g.Token), 10) + "-" + rand.Text(), said: make(chan struct{})}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rotate(time.Now())
	v.asks[a.id] = a
	return a
}

// rotate forgets the asks that were allowed long ago. The caller holds mu.
func (v *Receiver) rotate(now time.Time) {
	if now.Sub(v.rotated) < undoTime {
		return
	}
	v.older, v.asks, v.rotated = v.asks, map[string]*Ask{}, now
}

func (v *Receiver) forget(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.asks, id)
	delete(v.older, id)
}

// Ask is a grant that a forwarding node is about to deliver.
type Ask struct {
	of    *Receiver
	id    string
	grant Grant
	said  chan struct{} // closed once it is decided

	mu    sync.Mutex
	state askState
	err   error // why it may not be delivered
}

type askState uint8

const (
	pending askState = iota
	allowed
	over // refused or undone
)

// Drop ends an ask whose answer could not be sent to the forwarding node. The caller undoes the grant.
func (a *Ask) Drop() { a.refuse(lock.ErrGone) }

// ID names the ask: the fencing token, and text that cannot be guessed.
func (a *Ask) ID() string { return a.id }

// Await waits until the forwarding node asks whether it may deliver the grant, and returns nil if it
// may. From then on only the forwarding node's word undoes it. With an error the grant was not delivered
// and never will be, and the caller undoes it: ctx has ended, or the forwarding node did not ask for ten
// seconds, or does not want it any more ([lock.ErrGone]), or it may not be delivered any more.
func (a *Ask) Await(ctx context.Context) error {
	timer := time.NewTimer(askTimeout)
	defer timer.Stop()
	select {
	case <-a.said:
	case <-ctx.Done():
		a.refuse(lock.ErrGone)
	case <-timer.C:
		a.refuse(lock.ErrGone)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == over {
		return a.err
	}
	return nil
}

// allow decides that the grant may be delivered, or returns why it may not.
func (a *Ask) allow() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state != pending {
		return errNoAsk // a second word is a copy of the first
	}
	if err := a.grant.May(); err != nil {
		a.end(err)
		return err
	}
	a.state = allowed
	close(a.said)
	return nil
}

// refuse ends an ask that is not decided.
func (a *Ask) refuse(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.state == pending {
		a.end(err)
	}
}

// end ends a pending ask. The caller holds mu.
func (a *Ask) end(err error) {
	a.state, a.err = over, err
	a.of.forget(a.id)
	close(a.said)
}

// takeBack undoes the grant, unless that has been done. A pending one is undone by the caller of Await.
func (a *Ask) takeBack() {
	a.refuse(lock.ErrGone)
	a.mu.Lock()
	undo := a.state == allowed
	a.state = over
	a.mu.Unlock()
	if undo {
		a.of.forget(a.id)
		a.grant.Undo()
	}
}
