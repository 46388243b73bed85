package forward

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// words has the serving node do something else with what is said about grants.
func (n *servingNode) words(hear func(word string, w http.ResponseWriter, r *http.Request, heard http.Handler)) {
	answer := n.Config.Handler
	n.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if word, is := strings.CutPrefix(r.URL.Path, wordPath); is {
			hear(word, w, r, answer)
			return
		}
		answer.ServeHTTP(w, r)
	})
}

// A node that stops has a grant undone that it could not deliver, although the word did not arrive at first.
func TestForwardedGrantIsUndoneWhileTheForwarderCloses(t *testing.T) {
	node := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, r *http.Request) { n.grant(w, r, yes) })
	var said, hears atomic.Bool
	node.words(func(word string, w http.ResponseWriter, r *http.Request, heard http.Handler) {
		if word == wordUndo && !hears.Load() {
			said.Store(true)
			panic(http.ErrAbortHandler)
		}
		heard.ServeHTTP(w, r)
	})
	f, _, _ := forwardingNode(t, node)
	f.ServeHTTP(brokenClient{httptest.NewRecorder()}, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/locks/a/acquire", nil))
	eventually(t, "the word is lost", said.Load)
	go func() {
		<-f.closed
		hears.Store(true)
	}()

	_ = f.Close() // it always returns nil

	if node.undone.Load() != 1 {
		t.Error("the grant is not undone, so its lease runs to its end")
	}
}

// A grant whose answer breaks off because the node stops is undone: its client has no lease id.
func TestForwardedGrantIsUndoneIfTheForwarderEndsIt(t *testing.T) {
	node := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, r *http.Request) {
		ask := n.Ask(Grant{Token: 4711, May: yes, Undo: func() { n.undone.Add(1) }})
		w.Header().Set(AskHeader, ask.ID())
		w.Header().Set("Content-Length", "7")
		_ = http.NewResponseController(w).Flush() // its loss would be noticed below
		_ = ask.Await(r.Context())                // nothing is delivered either way
		n.delivered.Add(1)
		<-r.Context().Done()
	})
	f, at, _ := forwardingNode(t, node)
	rawClient(t, at, rawAcquire)
	eventually(t, "the grant may be delivered", func() bool { return node.delivered.Load() == 1 })

	_ = f.Close() // it always returns nil

	if node.undone.Load() != 1 || f.Stats().Undone != 1 {
		t.Errorf("undone %d, counted %+v", node.undone.Load(), f.Stats())
	}
	if status, body, err := send(t, "POST", at+"/v1/locks/a/acquire"); err != nil || status != 503 || code(body) != "moved" {
		t.Errorf("a later request is answered %d %q %v", status, body, err)
	}
}

// A serving node that does not answer does not hold up the end of this one for long.
func TestForwarderClosesAlthoughItsWordsAreNotHeard(t *testing.T) {
	node := newServingNode(t, testTerm, func(n *servingNode, w http.ResponseWriter, r *http.Request) { n.grant(w, r, yes) })
	said := make(chan struct{}, 100)
	node.words(func(word string, w http.ResponseWriter, r *http.Request, heard http.Handler) {
		if word == wordUndo {
			said <- struct{}{}
			<-r.Context().Done()
			return
		}
		heard.ServeHTTP(w, r)
	})
	f, _, _ := forwardingNode(t, node)
	f.ServeHTTP(brokenClient{httptest.NewRecorder()}, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/locks/a/acquire", nil))
	<-said
	asked := time.Now()
	_ = f.Close() // it always returns nil
	if took := time.Since(asked); took < closeTime || took > closeTime+wordTimeout {
		t.Errorf("closing took %s", took)
	}
}

// Reach tells the node that serves the term from any other that may have its address.
func TestForwarderReachesOnlyTheNodeOfTheTerm(t *testing.T) {
	node := newServingNode(t, testTerm, nil)
	next := newServingNode(t, testTerm+1, nil)
	_, standby, _ := forwardingNode(t, node)
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	for at, want := range map[string]bool{node.URL: true, next.URL: false, standby: false, stranger.URL: false, "": false} {
		var where target
		if at != "" {
			where.set(t, at, testTerm)
		}
		f := New(Config{Key: testKey, Target: where.get})
		if err := f.Reach(t.Context()); (err == nil) != want {
			t.Errorf("%s (this node: %s) is reached: %v", at, node.URL, err)
		}
		_ = f.Close() // it always returns nil
	}
}
