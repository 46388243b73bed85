package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
)

func TestServerShowsItsState(t *testing.T) {
	s := newServer(t, setup{})
	s.server = func() api.Server {
		return api.Server{
			StartedAt: time.Now().Add(-time.Hour), ProcessID: 7, Addresses: []string{"http://127.0.0.1:3000"},
			Database:    api.Database{Path: "octostore.db", Bytes: 1, WALBytes: 2, ReserveBytes: 3},
			Certificate: &api.Certificate{ExpiresAt: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), Subject: "locks.example.com"},
			Limits:      []api.Limit{{Name: "max_waiters", Value: 50}, {Name: "account_rate", Value: 9}},
			Settings:    []api.Setting{{Name: "OCTOSTORE_ADDR", Value: "127.0.0.1:3000", Source: "default"}},
		}
	}
	s.acquire(t, "a")
	got := decode[api.Server](s.do(t, "GET /v1/server").want(200))
	if got.Version != "test" || got.Go == "" || got.UptimeMS < 3_600_000 || got.ProcessID != 7 || got.Held != 1 || got.Status.Status != api.OK {
		t.Errorf("got %+v", got)
	}
	if got.Commits.Total == 0 || got.Commits.P50MS <= 0 || got.Commits.P99MS < got.Commits.P50MS || got.Commits.WindowMS < 0 {
		t.Errorf("commits: %+v", got.Commits)
	}
	if len(got.Connections) != 1 || got.Connections[0].Listener != "main" {
		t.Errorf("connections: %+v", got.Connections)
	}
	if got.Limits[0].Used == nil || got.Limits[1].Used != nil {
		t.Errorf("what is in use is known of waiters only: %+v", got.Limits)
	}
	if got.Journal.Head == 0 || got.Journal.Oldest == 0 || got.Journal.Oldest > got.Journal.Head || got.Journal.HeadAt == nil || got.Journal.Level != "decisions" {
		t.Errorf("journal: %+v", got.Journal)
	}
}

// A server of which nothing is known but what the API itself knows, and that has no record.
func TestServerShowsAnEmptyState(t *testing.T) {
	s := newServer(t, setup{})
	body := string(s.do(t, "GET /v1/server").want(200).body)
	for _, want := range []string{`"addresses":[]`, `"limits":[]`, `"settings":[]`, `"certificate":null`, `"oldest":0,"head":0`} {
		if !strings.Contains(body, want) {
			t.Errorf("got %s\nwant %s in it", body, want)
		}
	}
}

func TestServerIsForAdministrators(t *testing.T) {
	s := newServer(t, setup{})
	admin, auditor, reader := s.as(t, "root", "admin"), s.as(t, "auditor", "audit:team-a/**"), s.as(t, "reader", "acquire,read,break:** policies")
	for _, test := range []struct {
		line                   string
		admin, auditor, reader int
	}{
		{"GET /v1/server", 200, 403, 403},
		{"HEAD /v1/live?show=server", 200, 403, 403},
		{"GET /v1/audit/state", 200, 200, 403},
		{"POST /v1/drain?reason=upgrade", 200, 403, 403},
	} {
		s.do(t, test.line).want(401)
		s.do(t, test.line, reader).want(test.reader)
		s.do(t, test.line, auditor).want(test.auditor)
		if s.table.Draining() {
			t.Fatalf("%s by an account that may not drain has drained the server", test.line)
		}
		s.do(t, test.line, admin).want(test.admin)
	}
}

// A drained server grants nothing, tells those that wait, and lets holders go on.
func TestDrainRefusesAcquiresOnly(t *testing.T) {
	s := newServer(t, setup{})
	root := s.as(t, "root", "admin")
	held := s.do(t, "POST /v1/locks/a/acquire", root).grant()
	waiting := make(chan answer)
	go func() { waiting <- s.do(t, "POST /v1/locks/a/acquire?wait=5m", root) }()
	s.waiters(t, "a", 1)

	got := decode[api.Drain](s.do(t, "POST /v1/drain?reason=upgrade+of+the+disk", root).want(200))
	if got.Status != api.Draining || got.Waiters != 1 || got.Already || got.Since == nil {
		t.Errorf("got %+v", got)
	}
	(<-waiting).want(503, api.CodeDraining)
	s.do(t, "POST /v1/locks/b/acquire", root).want(503, api.CodeDraining)
	s.do(t, "POST /v1/locks/a/break?reason=x&take=1", root).want(503, api.CodeDraining)
	s.do(t, "GET /readyz").want(503)
	s.do(t, "GET /healthz").want(200)
	if state := decode[api.Server](s.do(t, "GET /v1/server", root).want(200)); state.Status.Status != api.Draining || state.DrainedAt == nil {
		t.Errorf("it is shown as %+v, drained at %v", state.Status, state.DrainedAt)
	}
	s.do(t, "POST /v1/locks/a/renew", header(api.HeaderLease, held.LeaseID), root).want(200)
	s.do(t, "POST /v1/locks/a/release", header(api.HeaderLease, held.LeaseID), root).want(200)

	again := decode[api.Drain](s.do(t, "POST /v1/drain?reason=again", root).want(200))
	if !again.Already || again.Waiters != 0 || again.Since == nil || !again.Since.Equal(*got.Since) {
		t.Errorf("the second drain: %+v, the first %+v", again, got)
	}
	_, records, _ := s.do(t, "GET /v1/audit?kind=drained", root).lines()
	if len(records) != 1 || records[0].Reason != "upgrade of the disk" || records[0].By != "root" || records[0].TokenID == "" {
		t.Errorf("on record: %+v", records)
	}
	s.do(t, "POST /v1/drain?reason="+long(513), onPurpose, root).wantInvalid("reason")
}

// Requests that are under way when a drain begins are answered: with a grant, which its holder
// can release, or with the refusal. None is left waiting.
func TestDrainAnswersAcquiresUnderWay(t *testing.T) {
	s := newServer(t, setup{})
	const clients = 8
	ended, granted := make(chan answer, clients), make(chan bool, 1)
	for range clients {
		go func() {
			for {
				got := s.do(t, "POST /v1/locks/a/acquire?wait=5m")
				if got.status != 200 {
					ended <- got
					return
				}
				select {
				case granted <- true:
				default:
				}
				s.do(t, "POST /v1/locks/a/release", header(api.HeaderLease, got.grant().LeaseID)).want(200)
			}
		}()
	}
	<-granted
	s.do(t, "POST /v1/drain").want(200)
	for range clients {
		(<-ended).want(503, api.CodeDraining)
	}
	if state := decode[api.Server](s.do(t, "GET /v1/server").want(200)); state.Waiters != 0 || state.Held != 0 {
		t.Errorf("%d are waiting, %d locks are held", state.Waiters, state.Held)
	}
}

// Streams do not end with a drain: an administrator watches what the holders do. They end
// when the server stops.
func TestDrainLeavesStreamsOpen(t *testing.T) { byBothDoors(t, testDrainLeavesStreamsOpen) }

func testDrainLeavesStreamsOpen(t *testing.T) {
	s := newServer(t, setup{})
	addr := listening(t, s)
	held := s.acquire(t, "a")
	resp, err := http.Get("http://" + addr.String() + "/v1/audit?follow=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := lineScanner(resp.Body)
	in.want(t, `"export":1`)
	in.want(t, `"kind":"granted"`)
	s.do(t, "POST /v1/drain").want(200)
	in.want(t, `"kind":"drained"`)
	s.do(t, "POST /v1/locks/a/release", header(api.HeaderLease, held.LeaseID)).want(200)
	in.want(t, `"kind":"released"`)
	s.table.Drain()
	in.want(t, `"end":true`)
}

// A drain that cannot be recorded does not happen.
func TestDrainIsRecordedOrDoesNotHappen(t *testing.T) {
	store := &failingStore{Store: memory.New()}
	s := newServer(t, setup{store: store, lock: table.Config{Full: func() bool { return false }}})
	store.fail(lock.ErrFull)
	s.do(t, "POST /v1/drain").want(507, api.CodeStorageFull)
	store.fail(nil)
	s.acquire(t, "a")
	s.do(t, "POST /v1/drain").want(200)
}

func TestDrainTwiceAtOnceIsRecordedOnce(t *testing.T) {
	s := newServer(t, setup{})
	answers := make(chan answer)
	const clients = 8
	for range clients {
		go func() { answers <- s.do(t, "POST /v1/drain") }()
	}
	first := 0
	for range clients {
		if !decode[api.Drain]((<-answers).want(200)).Already {
			first++
		}
	}
	_, records, _ := s.do(t, "GET /v1/audit?kind=drained").lines()
	if first != 1 || len(records) != 1 {
		t.Errorf("%d answers say that they drained it, %d records; want one of each", first, len(records))
	}
}

func TestAuditStateNamesTheNewestCheckpoint(t *testing.T) {
	s := newServer(t, setup{policies: ruled{}})
	s.audit = AuditSettings{Level: "all", Retention: time.Hour, MaxBytes: 1 << 30}
	s.acquire(t, "a")
	seq, err := s.table.Append(context.Background(), lock.Event{Kind: lock.Checkpoint})
	if err != nil {
		t.Fatal(err)
	}
	s.acquire(t, "b")
	got := decode[api.AuditState](s.do(t, "GET /v1/audit/state").want(200))
	key := record.FormatKey(s.log.PublicKey())
	if got.Checkpoint == nil || got.Checkpoint.Seq != uint64(seq) || got.Checkpoint.Key != key || got.PublicKey != key {
		t.Errorf("the checkpoint is %+v with the key %s, want record %d", got.Checkpoint, got.PublicKey, seq)
	}
	if got.Level != "all" || got.RetentionMS != 3_600_000 || got.MaxBytes != 1<<30 || got.Head != uint64(seq)+1 {
		t.Errorf("got %+v", got)
	}
	if len(got.Observers) != 1 || got.Observers[0].Policy != "audit" || got.Observers[0].Gaps != 4 {
		t.Errorf("observers: %+v", got.Observers)
	}
}

// failingArchive cannot be written since a known time.
type failingArchive struct{ journal.Archive }

func (failingArchive) State() journal.ArchiveState {
	return journal.ArchiveState{
		Files: 3, Bytes: 1000, Newest: journal.Mark{Seq: 7, Time: time.Unix(1_700_000_000, 0)},
		Err: errors.New("/srv/archive: no space left on device"), Since: time.Unix(1_700_000_100, 0),
	}
}

func (failingArchive) Oldest(upTo lock.Seq) lock.Seq { return upTo }

// A failing archive is in the state of the audit log and in the metrics. The error names a
// file, so it is for auditors of all names only.
func TestAuditStateHasTheArchive(t *testing.T) {
	s := newServer(t, setup{policies: ruled{}})
	if got := decode[api.AuditState](s.do(t, "GET /v1/audit/state").want(200)); got.Archive != nil {
		t.Errorf("without an archive: %+v", got.Archive)
	}
	s.log.SetArchive(failingArchive{})
	s.acquire(t, "a")
	a := decode[api.AuditState](s.do(t, "GET /v1/audit/state").want(200)).Archive
	if a == nil || a.Files != 3 || a.Newest != 7 || a.FailingSince.Unix() != 1_700_000_100 || !strings.Contains(a.Error, "no space") {
		t.Errorf("got %+v", a)
	}
	metrics := s.scrape(t)
	for line, want := range map[string]string{
		"octostore_archive_failing": "1", "octostore_archive_bytes": "1000", "octostore_archive_newest_timestamp_seconds": "1.7e+09",
	} {
		if metrics[line] != want {
			t.Errorf("%s is %q, want %q", line, metrics[line], want)
		}
	}
	some := s.as(t, "auditor", "audit:team-a/**")
	if a := decode[api.AuditState](s.do(t, "GET /v1/audit/state", some).want(200)).Archive; a == nil || a.Error != "" || a.FailingSince == nil {
		t.Errorf("for an auditor of some names: %+v", a)
	}
}

func TestAuditLastHasTheNewestRecords(t *testing.T) {
	s := busy(t)
	_, all, _ := s.do(t, "GET /v1/audit").lines()
	for query, want := range map[string]string{
		"last=1":                               "released",
		"last=3":                               "broken granted released",
		"last=1000":                            kindsOf(all),
		"last=2&kind=granted":                  "granted granted",
		"last=5&kind=denied":                   "",
		"last=1&prefix=deploy/test":            "broken",
		"last=2&since=2000-01-01&kind=renewed": "renewed",
		"last=2&since=2900-01-01":              "",
		"last=2&until=2000-01-01":              "",
		"last=2&until=2900-01-01":              "granted released",
	} {
		opening, records, closing := s.do(t, "GET /v1/audit?"+query).lines()
		if got := kindsOf(records); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
		if !strings.Contains(opening, `"verifiable":false`) || !strings.Contains(opening, `"filter":"last=`) || strings.Contains(closing, "incomplete") {
			t.Errorf("%s: %s … %s", query, opening, closing)
		}
	}
	if csv := string(s.do(t, "GET /v1/audit?last=1&format=csv").want(200).body); strings.Count(csv, "\n") != 2 || !strings.Contains(csv, "released") {
		t.Errorf("as CSV:\n%s", csv)
	}
	s.do(t, "HEAD /v1/audit?last=1").want(200)
	for _, bad := range []string{"last=0", "last=1001", "last=-1", "last=x", "last="} {
		s.do(t, "GET /v1/audit?"+bad, onPurpose).wantInvalid("last")
	}
	for bad, field := range map[string]string{"last=1&limit=1": "limit", "last=1&follow=1": "follow", "last=1&after=": "after"} {
		s.do(t, "GET /v1/audit?"+bad, onPurpose).wantInvalid(field)
	}
}

// The newest records of an auditor of some names are those about these names.
func TestAuditLastKeepsToTheScope(t *testing.T) {
	s, alice, bob := teams(t)
	s.do(t, "POST /v1/locks/team-b/y/acquire", bob).want(200)
	_, records, _ := s.do(t, "GET /v1/audit?last=1", alice).lines()
	if len(records) != 1 || records[0].Name != "team-a/x" {
		t.Errorf("alice sees %+v", records)
	}
}

func TestPolicyReloadPassesTheReason(t *testing.T) {
	s := newServer(t, setup{})
	asked := &reloading{}
	s.policies = asked
	root := s.as(t, "root", "admin")
	s.do(t, "POST /v1/policies/reload?reason=new+freeze", root).want(200)
	if asked.reason != "new freeze" || asked.by.Actor.Account != "root" || asked.by.Actor.TokenID == "" || asked.by.RequestID == "" {
		t.Errorf("the policies are told %q by %+v", asked.reason, asked.by)
	}
	s.do(t, "POST /v1/policies/reload", root).want(200)
	s.do(t, "POST /v1/policies/reload?reason="+long(513), onPurpose, root).wantInvalid("reason")
	s.do(t, "POST /v1/policies/reload", root, jsonBody(`{"reason":"by JSON"}`)).want(200)
	if asked.reason != "by JSON" || asked.calls != 3 {
		t.Errorf("%d calls, the last for %q", asked.calls, asked.reason)
	}
}

// reloading are policies that remember who had them reloaded.
type reloading struct {
	ruled
	by     lock.Origin
	reason string
	calls  int
}

func (r *reloading) Reload(_ context.Context, by lock.Origin, reason string) (string, error) {
	r.by, r.reason, r.calls = by, reason, r.calls+1
	return "same", nil
}

func TestCommitQuantilesAreOfTheLastMinute(t *testing.T) {
	start := time.Now()
	w := commitWindow{start: start}
	h := func(fast, slow uint64) table.Histogram {
		return table.Histogram{Bounds: []float64{.001, 1}, Counts: []uint64{fast, slow, 0}}
	}
	for _, step := range []struct {
		after      time.Duration
		fast, slow uint64
		p99        float64
		window     time.Duration
	}{
		{0, 0, 100, 1000, 0}, // since the start
		{30 * time.Second, 100, 100, 1, 30 * time.Second},
		{60 * time.Second, 100, 100, 1, 60 * time.Second},
		{100 * time.Second, 100, 100, 0, 70 * time.Second}, // no commit since second 30
		{110 * time.Second, 100, 101, 1000, 80 * time.Second},
		{time.Hour, 200, 101, 1, time.Hour - 110*time.Second}, // nobody has asked for long
	} {
		got := w.show(h(step.fast, step.slow), start.Add(step.after))
		if got.P99MS != step.p99 || got.WindowMS != step.window.Milliseconds() || got.Total != step.fast+step.slow {
			t.Errorf("after %s: %+v, want p99 %v of %s", step.after, got, step.p99, step.window)
		}
	}
	if b, err := json.Marshal(w.show(h(0, 0), start)); err != nil {
		t.Error(err, b)
	}
}
