package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport/client"
)

// An export goes on only where the one before ended: with the same server, and after
// the same record. If it does not, nothing is written.
func TestAnExportDoesNotGoOnFromAnotherHistory(t *testing.T) {
	for _, tt := range []struct {
		name             string
		filter           string
		key, prev, wrong string
	}{
		{name: "the same", key: "K", prev: "H"},
		{name: "another server", key: "L", prev: "H", wrong: "its key is L, it was K"},
		{name: "another record", key: "K", prev: "I", wrong: "the next record has another hash of it"},
		{name: "what was filtered cannot tell", filter: "granted", key: "K", prev: "I"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				key, seq, prev := "K", 7, ""
				if r.URL.Query().Get("after") == "7" {
					key, seq, prev = tt.key, 9, tt.prev
				}
				fmt.Fprintf(w, "{\"export\":1,\"key\":%q}\n{\"seq\":%d,\"kind\":\"granted\",\"prev\":%q}\n{\"end\":true,\"records\":1,\"last\":\"%d\",\"hash\":\"H\"}\n", key, seq, prev, seq)
			}))
			defer srv.Close()
			c, err := client.New(client.Config{URL: srv.URL})
			if err != nil {
				t.Fatal(err)
			}
			output := filepath.Join(t.TempDir(), "a.ndjson")
			resume := func() error {
				e := exporter{client: c, query: client.AuditQuery{Kind: tt.filter}, progress: newProgress(io.Discard)}
				return e.resume(t.Context(), output, output+".state")
			}
			if err := resume(); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			err = resume()
			after, readErr := os.ReadFile(output)
			if readErr != nil {
				t.Fatal(readErr)
			}
			switch {
			case tt.wrong == "" && (err != nil || len(after) == len(before)):
				t.Errorf("it does not go on: %v", err)
			case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong) || !strings.Contains(err.Error(), "record 7")):
				t.Errorf("it goes on: %v, want %q", err, tt.wrong)
			case tt.wrong != "" && !bytes.Equal(before, after):
				t.Error("something was written")
			}
		})
	}
}

// A server that has no seat at the moment is asked again.
func TestTailComesBackWhenThereIsASeat(t *testing.T) {
	asked := 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch asked++; asked {
		case 1:
			io.WriteString(w, "{\"export\":1}\n{\"seq\":7}\n{\"end\":true,\"last\":\"7\"}\n")
		case 2:
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			cancel()
		}
	}))
	defer srv.Close()
	c, err := client.New(client.Config{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	f := tail{client: c, query: client.AuditQuery{Follow: true}, out: io.Discard, errors: io.Discard, show: jsonLine, wait: time.Millisecond}
	if err := f.run(ctx); err != nil || asked != 3 {
		t.Errorf("asked %d times, then %v", asked, err)
	}
}

// What the export ends with has to be in the database as it is in the export.
func TestReplayComparesTheLastRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	j := journal.New(store)
	if _, err := j.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	var heads []lock.Head
	write := func(seq lock.Seq) {
		t.Helper()
		b := &lock.Batch{Events: []lock.Event{{Seq: seq, Time: time.Now(), Kind: lock.Started}}}
		if err := j.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		j.Publish()
		heads = append(heads, b.Next)
	}
	compare := func(last lock.Head) error {
		replay := verify.NewReplay(0)
		if err := replay.Apply(fmt.Appendf(nil, `{"seq":%d,"kind":"started","prev":""}`, last.Seq)); err != nil {
			t.Fatal(err)
		}
		verdict := verify.Result{Key: j.PublicKey(), Hash: last.Hash, Records: 1}
		return compareWithDatabase(t.Context(), io.Discard, replay, verdict, path)
	}
	check := func(name string, last lock.Head, wrong string) {
		t.Helper()
		err := compare(last)
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: %v, want %q", name, err, wrong)
		}
	}
	for seq := range lock.Seq(4) {
		write(seq + 1)
	}
	const differs = "has not the record"
	other := lock.Hash{1}
	check("the newest", heads[3], "")
	check("another newest", lock.Head{Seq: 4, Hash: other}, differs)
	check("one that is followed", heads[1], "")
	check("another that is followed", lock.Head{Seq: 2, Hash: other}, differs)
	if err := j.Prune(t.Context(), heads[1]); err != nil {
		t.Fatal(err)
	}
	check("the newest that is pruned", heads[1], "")
	check("another that is pruned", lock.Head{Seq: 2, Hash: other}, differs)
	check("one before what is pruned", heads[0], "everything up to 2 was pruned")
	check("one that is not there yet", lock.Head{Seq: 5}, "the database is older")
}

// A long export shows on a terminal, and only there, how far it is.
func TestProgressOfALongExport(t *testing.T) {
	line := []byte(strings.Repeat("x", 1023) + "\n")
	synctest.Test(t, func(t *testing.T) {
		for _, terminal := range []bool{true, false} {
			var screen strings.Builder
			p := newProgress(&screen)
			if terminal {
				p = newProgress(fakeTerminal{&screen})
			}
			add := func(records int) {
				for range records {
					p.add(line)
				}
			}
			add(1999)
			if screen.Len() > 0 {
				t.Errorf("at once it shows %q", &screen)
			}
			time.Sleep(1100 * time.Millisecond)
			add(1)
			add(1000) // too soon after
			time.Sleep(300 * time.Millisecond)
			add(1000)
			p.end()
			want := "\r2,000 records, 2.0 MiB \r4,000 records, 3.9 MiB \r4,000 records, 3.9 MiB\n"
			if !terminal {
				want = ""
			}
			if screen.String() != want {
				t.Errorf("on a terminal %t: it shows %q, want %q", terminal, &screen, want)
			}
		}
		var screen strings.Builder
		short := newProgress(fakeTerminal{&screen})
		short.add(line)
		short.end()
		if screen.Len() > 0 {
			t.Errorf("a short one shows %q", &screen)
		}
	})
}

// fakeTerminal is a terminal as far as anybody asks.
type fakeTerminal struct{ io.Writer }

func (fakeTerminal) IsTerminal() bool { return true }
