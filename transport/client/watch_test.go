package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/octostore/octostore/transport/client"
)

func TestClientWatchStreamsEventsAndResumes(t *testing.T) {
	c := start(t)
	var after string
	for e, err := range c.Watch(t.Context(), client.WatchQuery{Prefix: "a/"}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == "" { // it has begun
			release(t, acquire(t, c, "b", client.AcquireOptions{}))
			release(t, acquire(t, c, "a/1", client.AcquireOptions{Confirm: 1e9}))
			continue
		}
		if e.Kind != "granted" || !strings.Contains(string(e.Data), `"a/1"`) {
			t.Errorf("the first event is %s %s", e.Kind, e.Data)
		}
		after = e.ID
		break
	}
	var kinds []string
	for e, err := range c.Watch(t.Context(), client.WatchQuery{Prefix: "a/", After: after}) {
		if err != nil {
			t.Fatal(err)
		}
		if kinds = append(kinds, e.Kind); e.Kind == "released" {
			break
		}
	}
	if got := strings.Join(kinds, " "); got != "renewed released" {
		t.Errorf("after the grant came %s", got)
	}
}

// Keep-alives, comments, gaps and data of many lines, with every end of a line that there is.
func TestClientWatchReadsServerSentEvents(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		fmt.Fprintf(w, ":\nid: %s1\n\n: a comment\n\n", r.Header.Get("Last-Event-ID"))
		fmt.Fprint(w, "id:2\r\nevent: granted\r\nretry: 5\r\ndata: {\r\ndata:}\r\n\r\n")
		fmt.Fprint(w, "event: gap\ndata: {\"oldest\":\"2\"}\n\nid: 3\nevent: cut")
	}))
	defer server.Close()
	var got []string
	for e, err := range clientOf(t, server.URL).Watch(t.Context(), client.WatchQuery{After: "0"}) {
		if err != nil {
			if _, is := errors.AsType[*client.UnreachableError](err); !is {
				t.Errorf("the stream ended with %v", err)
			}
			break
		}
		got = append(got, fmt.Sprintf("%s %s %s", e.ID, e.Kind, e.Data))
	}
	want := []string{"01  ", "2 granted {\n}", `2 gap {"oldest":"2"}`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestClientWatchEndsWithItsContext(t *testing.T) {
	c := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, err := range c.Watch(ctx, client.WatchQuery{}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			return
		}
		cancel()
	}
	t.Error("the watch ended without an error")
}

func TestClientWatchOfSomethingElseIsAnError(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
	}))
	defer server.Close()
	for _, err := range clientOf(t, server.URL).Watch(t.Context(), client.WatchQuery{}) {
		if _, is := errors.AsType[*client.ForeignError](err); !is {
			t.Errorf("got %v", err)
		}
	}
}
