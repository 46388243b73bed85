package locktool_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/locktool"
	"github.com/octostore/octostore/transport/client"
)

func serverOf(t *testing.T, handler http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := client.New(client.Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A watch goes on behind the last event it has printed, says that there was a gap, and ends
// without an error.
func TestWatchGoesOnAfterALostConnection(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var after []string
	c := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		after = append(after, r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", "text/event-stream")
		switch len(after) {
		case 1:
			_, _ = io.WriteString(w, "id: 7\nevent: granted\ndata: {\"seq\":7,\"time\":\"2026-11-27T12:00:00Z\",\"kind\":\"granted\",\"name\":\"a\",\"holder\":\"h\"}\n\nid: 8\nevent: rel")
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = io.WriteString(w, "id: 20\nevent: gap\ndata: {}\n\nid: 21\nevent: released\ndata: {\"seq\":21,\"time\":\"2026-11-27T12:00:01Z\",\"kind\":\"released\",\"name\":\"a\"}\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	var errs strings.Builder
	w := &locktool.Watch{Client: c, JSON: true, Out: writerFunc(func(p []byte) {
		if strings.Contains(string(p), `"seq":21`) {
			cancel()
		}
	}), Errors: &errs}
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(after); got != "[ 7 7]" {
		t.Errorf("it asked for the events after %s", got)
	}
	for _, want := range []string{"the connection is lost", "connected again", "events are missing here"} {
		if strings.Count(errs.String(), want) != 1 {
			t.Errorf("it says\n%s\nwant once: %s", errs.String(), want)
		}
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func TestWatchFailsIfTheServerWasNeverReached(t *testing.T) {
	for _, status := range []int{403, 503} {
		c := serverOf(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		w := &locktool.Watch{Client: c, Out: io.Discard, Errors: io.Discard}
		if err := w.Run(t.Context()); err == nil {
			t.Errorf("status %d: no error", status)
		}
	}
}

// The history is that of one lock, the newest records of it, from the shortest window that has
// enough of them.
func TestHistoryIsOfOneLock(t *testing.T) {
	var windows []string
	c := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		windows = append(windows, r.URL.Query().Get("since"))
		w.Header().Set("Content-Type", "application/x-ndjson")
		fmt.Fprintln(w, `{"export":1}`)
		for i := range len(windows) * 2 {
			fmt.Fprintf(w, "{\"seq\":%d,\"name\":\"a\"}\n{\"seq\":9,\"name\":\"a/b\"}\n", i)
		}
		fmt.Fprintln(w, `{"end":true}`)
	})
	found, window, err := locktool.History(t.Context(), c, "a", 3)
	if err != nil || window != 24*time.Hour || fmt.Sprintf("%s", found) != `[{"seq":1,"name":"a"} {"seq":2,"name":"a"} {"seq":3,"name":"a"}]` {
		t.Errorf("%s of the last %s, %v", found, window, err)
	}
	if got := fmt.Sprint(windows); got != "[1h0m0s 24h0m0s]" {
		t.Errorf("it asked for %s", got)
	}
}

// An export without its end is no history: records may be missing.
func TestHistoryThatIsCutOffFails(t *testing.T) {
	c := serverOf(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, `{"seq":1,"name":"a"}`) })
	if found, _, err := locktool.History(t.Context(), c, "a", 3); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("%s, %v", found, err)
	}
}

// Pages are asked for until there is enough.
func TestListPages(t *testing.T) {
	var asked []string
	c := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		asked = append(asked, q.Get("after")+"+"+q.Get("limit"))
		w.Header().Set("Content-Type", "application/json")
		var locks []string
		for i := range 1000 {
			locks = append(locks, fmt.Sprintf(`{"name":"%d-%d","state":"held","waiters":[]}`, len(asked), i))
		}
		fmt.Fprintf(w, `{"locks":[%s],"next":"n%d"}`, strings.Join(locks, ","), len(asked))
	})
	list, err := locktool.Locks(t.Context(), c, client.LocksQuery{}, 2000)
	if err != nil || len(list.Locks) != 2000 || list.Next != "n2" || fmt.Sprint(asked) != "[+1000 n1+1000]" {
		t.Errorf("%d locks, next %q, asked %s, %v", len(list.Locks), list.Next, asked, err)
	}
}
