package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
)

// busy is a server on which a few things have happened: three grants, a renewal, a
// conflict, a break and a release.
func busy(t *testing.T) *server {
	t.Helper()
	s := newServer(t, setup{lock: table.Config{Rules: lock.Rules{Level: lock.All}}})
	a := s.do(t, "POST /v1/locks/deploy/prod/acquire?holder=ci-1&reason=one,+two&meta.ticket=OPS-7&ttl=1m",
		header("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), header("User-Agent", "curl/8")).grant()
	s.do(t, "POST /v1/locks/deploy/prod/acquire?holder=%3Dci").want(409)
	s.do(t, "POST /v1/locks/deploy/prod/renew", header(api.HeaderLease, a.LeaseID)).want(200)
	s.acquire(t, "deploy/test")
	s.do(t, "POST /v1/locks/deploy/test/break?reason=stuck").want(200)
	s.acquire(t, "cron/nightly")
	s.do(t, "POST /v1/locks/deploy/prod/release", header(api.HeaderLease, a.LeaseID)).want(200)
	return s
}

// lines are those of an export, without the first and the last.
func (a answer) lines() (opening string, records []record.Record, closing string) {
	a.t.Helper()
	if a.cut || a.status != 200 {
		a.t.Fatalf("status %d, cut %t: %s", a.status, a.cut, a.body)
	}
	all := strings.Split(strings.TrimSuffix(string(a.body), "\n"), "\n")
	if len(all) < 2 {
		a.t.Fatalf("an export of %d lines", len(all))
	}
	for _, line := range all[1 : len(all)-1] {
		r, err := record.Parse([]byte(line))
		if err != nil {
			a.t.Fatalf("%v: %s", err, line)
		}
		records = append(records, r)
	}
	return all[0], records, all[len(all)-1]
}

func kindsOf(records []record.Record) string {
	var kinds []string
	for _, r := range records {
		kinds = append(kinds, string(r.Kind))
	}
	return strings.Join(kinds, " ")
}

func TestAuditOfEverythingVerifies(t *testing.T) {
	s := busy(t)
	a := s.do(t, "GET /v1/audit")
	_, records, closing := a.lines()
	if got := kindsOf(records); got != "granted conflict renewed granted broken granted released" {
		t.Errorf("got %s", got)
	}
	v := verify.NewVerifier(s.log.PublicKey())
	if err := v.Verify(bytes.NewReader(a.body)); err != nil || !v.Result().Complete {
		t.Errorf("%+v, %v", v.Result(), err)
	}
	first := records[0]
	if first.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || first.RequestID == "" || first.UserAgent != "curl/8" ||
		first.RemoteAddr == "" || first.Holder != "ci-1" || first.TTLMS != 60_000 || first.Metadata["ticket"] != "OPS-7" {
		t.Errorf("the first record is %+v", first)
	}
	var end struct{ Last string }
	if err := json.Unmarshal([]byte(closing), &end); err != nil || end.Last != fmt.Sprint(records[6].Seq) {
		t.Errorf("the closing line is %s, %v", closing, err)
	}
}

func TestAuditFilters(t *testing.T) {
	s := busy(t)
	_, all, _ := s.do(t, "GET /v1/audit").lines()
	third := all[2]
	for query, want := range map[string]string{
		"":                                    "granted conflict renewed granted broken granted released",
		"prefix=deploy/":                      "granted conflict renewed granted broken released",
		"prefix=deploy/t":                     "granted broken",
		"name=deploy/test":                    "granted broken",
		"name=deploy/t":                       "",
		"kind=granted":                        "granted granted granted",
		"kind=broken,released":                "broken released",
		"kind=checkpoint":                     "",
		"account=local":                       "granted conflict renewed granted broken granted released",
		"account=nobody":                      "",
		"decision=deny":                       "conflict",
		"decision=allow&prefix=cron":          "granted",
		"decision=error":                      "",
		"limit=2":                             "granted conflict",
		"limit=2&kind=granted":                "granted granted",
		"since=1h":                            "granted conflict renewed granted broken granted released",
		"since=2000-01-01T00:00:00Z&until=1h": "",
		"until=0s":                            "granted conflict renewed granted broken granted released",
		"since=0s":                            "",
		"follow=0":                            "granted conflict renewed granted broken granted released",
		"after=":                              "granted conflict renewed granted broken granted released",
		fmt.Sprintf("after=%d", third.Seq):    "granted broken granted released",
		fmt.Sprintf("after=%d", all[6].Seq):   "",
		fmt.Sprintf("after=%d&limit=1", third.Seq): "granted",
	} {
		time.Sleep(0)
		opening, records, _ := s.do(t, "GET /v1/audit?"+query).lines()
		if got := kindsOf(records); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
		filtered := strings.Contains(query, "name=") || strings.Contains(query, "prefix") || strings.Contains(query, "kind") || strings.Contains(query, "account") || strings.Contains(query, "decision")
		if strings.Contains(opening, `"verifiable":true`) == filtered {
			t.Errorf("%s: it says %s", query, opening)
		}
	}
}

func TestAuditFiltersThatAreWrong(t *testing.T) {
	s := busy(t)
	for query, field := range map[string]string{
		"after=x":                "after",
		"after=-1":               "after",
		"after=9007199254740991": "after", // of another journal
		"after=1":                "after", // what no record has
		"since=yesterday":        "since",
		"since=-1h":              "since",
		"until=2026-13-01":       "until",
		"account=":               "account", // a variable that is not set must not select all

		"until=0001-01-01T00:00:00Z": "until", // the zero time of a program
		"prefix=*":                   "prefix",
		"name=":                      "name", // a variable that is not set must not select all
		"name=deploy/prod/":          "name",
		"kind=grant":                 "kind",
		"kind=granted,":              "kind",
		"decision=maybe":             "decision",
		"limit=0":                    "limit",
		"limit=many":                 "limit",
		"format=xml":                 "format",
		"follow=maybe":               "follow",
		"kind=":                      "kind",
		"ttl=1s":                     "ttl",
	} {
		s.do(t, "GET /v1/audit?"+query, onPurpose).wantInvalid(field)
	}
	s.do(t, "GET /v1/events?prefix=*", onPurpose).wantInvalid("prefix")
	for _, id := range []string{"x", "1", "9007199254740991"} {
		s.do(t, "GET /v1/events", onPurpose, header("Last-Event-ID", id)).wantInvalid("Last-Event-ID")
	}
}

func TestAuditAsCSV(t *testing.T) {
	s := busy(t)
	a := s.do(t, "GET /v1/audit?format=csv").want(200)
	if got := a.header.Get("Content-Type"); got != "text/csv; charset=utf-8" {
		t.Errorf("Content-Type is %q", got)
	}
	if !strings.HasPrefix(string(a.body), "seq,time,kind,name,") {
		t.Errorf("it begins %.60s", a.body)
	}
	rows, err := csv.NewReader(bytes.NewReader(a.body)).ReadAll()
	if err != nil || len(rows) != 8 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	column := func(row int, name string) string { return rows[row][slices.Index(rows[0], name)] }
	if column(1, "holder") != "ci-1" || column(1, "reason") != "one, two" || column(1, "metadata") != `{"ticket":"OPS-7"}` || column(1, "ttl_ms") != "60000" {
		t.Errorf("the first row is %q", rows[1])
	}
	if got := column(2, "holder"); got != "'=ci" {
		t.Errorf("a spreadsheet would run %q", got)
	}
	if err := verify.NewVerifier(nil).Verify(bytes.NewReader(a.body)); err == nil || !strings.Contains(err.Error(), "in CSV, which cannot be verified") {
		t.Errorf("verifying a CSV: %v", err)
	}
}

func TestAuditIsCompressed(t *testing.T) {
	s := busy(t)
	plain := s.do(t, "GET /v1/audit?until=0s").want(200)
	for accept, packed := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "gzip; Q=0": false, "GZIP;Q=1": true, "br": false, "": false} {
		r := newRequest("GET /v1/audit?until=0s", []option{header("Accept-Encoding", accept)})
		rec := newRecorded()
		if serve(s, rec, r.http()) {
			t.Fatal("cut")
		}
		if got := rec.Header().Get("Content-Encoding") == "gzip"; got != packed {
			t.Errorf("%q: compressed: %t", accept, got)
			continue
		}
		body := io.Reader(rec.Body)
		if packed {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		got, err := io.ReadAll(body)
		if err != nil || bytes.Count(got, []byte("\n")) != bytes.Count(plain.body, []byte("\n")) {
			t.Errorf("%q: %v, %d lines", accept, err, bytes.Count(got, []byte("\n")))
		}
	}
}

func TestAuditRefusesAPrunedCursor(t *testing.T) {
	s := busy(t)
	_, all, _ := s.do(t, "GET /v1/audit").lines()
	cut := lock.Head{Seq: all[2].Seq}
	if err := s.log.Prune(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	oldest := fmt.Sprint(cut.Seq)
	s.do(t, fmt.Sprintf("GET /v1/audit?after=%d&since=1h", all[0].Seq)).want(410, api.CodeCursorExpired)
	p := s.do(t, fmt.Sprintf("GET /v1/audit?after=%d", all[0].Seq)).want(410, api.CodeCursorExpired).problem()
	if p.ExpiredProblem == nil || p.Oldest != oldest {
		t.Errorf("got %+v, want the oldest cursor %s", p, oldest)
	}
	for _, query := range []string{"", "?after=" + oldest, "?since=2000-01-01T00:00:00Z"} {
		if _, left, _ := s.do(t, "GET /v1/audit"+query).lines(); len(left) != 4 {
			t.Errorf("%s: %d records are left, want 4", query, len(left))
		}
	}
}

// A client that follows gets what is there and what happens then, once each, and at a
// stop the closing line.
func TestAuditFollow(t *testing.T) { byBothDoors(t, testAuditFollow) }

func testAuditFollow(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	s.acquire(t, "a/0")
	resp, err := http.Get("http://" + addr.String() + "/v1/audit?follow=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all bytes.Buffer
	in := lineScanner(io.TeeReader(resp.Body, &all))
	in.want(t, `"export":1`)
	in.want(t, `"name":"a/0"`)
	for i := 1; i < 20; i++ {
		s.acquire(t, fmt.Sprintf("a/%d", i))
		in.want(t, fmt.Sprintf(`"name":"a/%d"`, i))
	}
	s.table.Drain()
	in.want(t, `"end":true`)
	if in.Scan() {
		t.Errorf("after the closing line comes %s", in.Text())
	}
	if err := verify.NewVerifier(nil).Verify(&all); err != nil {
		t.Error(err)
	}
}

func TestTraceIDs(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for line, want := range map[string]string{
		"00-" + id + "-00f067aa0ba902b7-01":                       id,
		"cc-" + id + "-00f067aa0ba902b7-01":                       id,
		"cc-" + id + "-00f067aa0ba902b7-01-later":                 id,
		"00-" + id + "-00f067aa0ba902b7-01-more":                  "",
		"ff-" + id + "-00f067aa0ba902b7-01":                       "",
		"00-" + id + "-0000000000000000-01":                       "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
		"00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01":      "",
		"00-" + id + "-00f067aa0ba902b7-0":                        "",
		"00-" + id + "_00f067aa0ba902b7-01":                       "",
		"":                                                        "",
		"00":                                                      "",
		"00-\"" + id[1:] + "-00f067aa0ba902b7-01":                 "",
	} {
		if got := traceID([]string{line}); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
	if got := traceID(nil); got != "" {
		t.Errorf("without a header: %q", got)
	}
}

// A client that reads nothing does not hold up commits, nor the server's end.
func TestStreamsDoNotWaitForASlowClient(t *testing.T) {
	byBothDoors(t, testStreamsDoNotWaitForASlowClient)
}

func testStreamsDoNotWaitForASlowClient(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	for i := range 200 {
		s.acquire(t, fmt.Sprintf("a/%d", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 20 {
		req, err := http.NewRequestWithContext(ctx, "GET", "http://"+addr.String()+"/v1/audit?follow=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
	}
	begun := time.Now()
	s.acquire(t, "b")
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("a commit took %s", took)
	}
}

// A day is written as 1d wherever a duration is, and a date stands for its midnight in UTC
// wherever a time does.
func TestAuditAndLeasesTakeDaysAndDates(t *testing.T) {
	s := newServer(t, setup{core: core.Config{MaxTTL: 48 * time.Hour}})
	if g := s.do(t, "POST /v1/locks/a/acquire?ttl=1d&wait=0d").grant(); g.TTLMS != 24*60*60*1000 {
		t.Errorf("ttl_ms is %d, want a day", g.TTLMS)
	}
	if g := s.do(t, "POST /v1/locks/b/acquire", jsonBody(`{"ttl":"1d12h"}`)).grant(); g.TTLMS != 36*60*60*1000 {
		t.Errorf("ttl_ms is %d, want a day and a half", g.TTLMS)
	}
	today := time.Now().UTC().Format(time.DateOnly)
	tomorrow := time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly)
	for query, want := range map[string]int{
		"since=1970-01-01": 2, "since=1d": 2, "since=" + tomorrow: 0, "until=" + tomorrow: 2, "until=1970-01-01": 0,
		"since=" + today + "&until=" + tomorrow: 2,
	} {
		if _, records, _ := s.do(t, "GET /v1/audit?kind=granted&"+query).lines(); len(records) != want {
			t.Errorf("%s: %d records, want %d", query, len(records), want)
		}
	}
	for _, text := range []string{"2026-13-01", "27.11.2026", "-1d", "1969-12-31"} {
		s.do(t, "GET /v1/audit?since="+text, onPurpose).wantInvalid("since")
	}
}
