package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// policyCode makes a policy of the code of its export. The texts lie at 0, 5 and 10.
func policyCode(export, code string) []byte {
	return wasmtest.Assemble(wasmtest.Module{
		Imports: []wasmtest.Import{
			{Module: "octostore_v1", Name: "get", Type: "i32 i32 i32 i32 -> i32"},
			{Module: "octostore_v1", Name: "note", Type: "i32 i32 i32 i32"},
		},
		Pages: 1, Data: []wasmtest.Data{{Text: "phaseevent"}},
		Funcs: []wasmtest.Func{{Name: export, Type: "-> i32", Code: code}},
	})
}

// ruledServer starts a server under policies: a manifest, and modules by name.
func ruledServer(t *testing.T, dir string, open openStorage, manifest string, modules map[string][]byte) *server {
	t.Helper()
	for name, module := range modules {
		if err := os.WriteFile(filepath.Join(dir, name+".wasm"), module, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := withPolicies(t, dir, manifest)
	cfg.DB = config.Path(filepath.Join(dir, "octostore.db"))
	s, err := startServer(t.Context(), cfg, slog.New(slog.DiscardHandler), open)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func onShelf(s *shelf) openStorage {
	return func(context.Context, string, *slog.Logger) (storage, error) { return s, nil }
}

// counted is a shelf that counts commits.
type counted struct {
	*shelf
	commits atomic.Int64
}

func (c *counted) Commit(ctx context.Context, b *lock.Batch) error {
	c.commits.Add(1)
	return c.shelf.Commit(ctx, b)
}

// records returns what is in the journal.
func (s *server) records(t *testing.T) []record.Record {
	t.Helper()
	var all []record.Record
	reader := s.serving().journal.From(0)
	for {
		page, err := reader.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		for _, segment := range page {
			for line := range bytes.Lines(segment.Bytes) {
				r, err := record.Parse(line)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
			}
		}
	}
}

// Waiters whom a policy denies at their turn cost a record each and not a grant that is
// then undone: no lease is left, and the commits are no more than the records.
func TestWaitersDeniedAtTheirTurnCostNoGrants(t *testing.T) {
	waiters := 10_000
	if testing.Short() {
		waiters = 500
	}
	store := &counted{shelf: &shelf{Store: memory.New()}}
	s := ruledServer(t, t.TempDir(), func(context.Context, string, *slog.Logger) (storage, error) { return store, nil },
		`{"policies":[{"name":"freeze","module":"freeze.wasm","match":["prod/**"]}]}`,
		map[string][]byte{"freeze": policyCode("check", "i32.const 0 i32.const 5 i32.const 100 i32.const 16 call $get i32.const 5 i32.eq")})
	held := s.call("POST", "/v1/locks/prod/db/acquire")
	octotest.Expect(t, held, 200, "lease_id")

	var denied atomic.Int64
	var all sync.WaitGroup
	for range waiters {
		all.Go(func() {
			w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "http://localhost/v1/locks/prod/db/acquire?wait=5m", nil)
			s.serving().api.ServeHTTP(w, r)
			if w.Code == 403 && strings.Contains(w.Body.String(), `"policy_denied"`) {
				denied.Add(1)
			}
		})
	}
	octotest.WaitUntil(t, "all wait", func() bool { return s.serving().table.Stats().Waiters == waiters })
	before := store.commits.Load()
	octotest.Expect(t, s.call("POST", "/v1/locks/prod/db/release?lease_id="+octotest.Member(t, held.Body, "lease_id")), 200, "held_ms")
	all.Wait()
	if n := denied.Load(); n != int64(waiters) {
		t.Errorf("%d of %d were denied", n, waiters)
	}
	commits := store.commits.Load() - before
	kinds := map[lock.Kind]int{}
	for _, r := range s.records(t) {
		kinds[r.Kind]++
	}
	t.Logf("%d commits, %v", commits, kinds)
	if kinds[lock.Granted] != 1 || kinds[lock.Undone] != 0 || kinds[lock.Denied] != waiters {
		t.Errorf("on record: %v", kinds)
	}
	if most := int64(waiters) + 10; commits > most { // the release, and a few checkpoints
		t.Errorf("%d commits, want at most %d", commits, most)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// leavesNote is the code of a policy that allows and is on record, since it leaves a note.
const leavesNote = "i32.const 0 i32.const 5 i32.const 5 i32.const 5 call $note i32.const 0"

// A reload under load fails no request, and each request is judged by exactly one set
// each time: here both policies of a set have the same module.
func TestReloadsUnderLoadFailNobody(t *testing.T) {
	const reloads, clients = 100, 4
	dir := t.TempDir()
	manifest := func(n int) string {
		const one = `{"name":%q,"module":"%d.wasm","match":["prod/**"]}`
		return fmt.Sprintf(`{"policies":[`+one+","+one+`]}`, "a", n%2, "b", n%2)
	}
	s := ruledServer(t, dir, onShelf(&shelf{Store: memory.New()}), manifest(0), map[string][]byte{
		"0": policyCode("check", leavesNote), "1": policyCode("check", "nop "+leavesNote),
	})
	stop := make(chan struct{})
	var requests, failed atomic.Int64
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				// Two locks for all: many wait and are judged at their turn as well.
				name := fmt.Sprintf("prod/%d", n%2)
				if err := s.pair(name); err != nil {
					failed.Add(1)
					t.Error(err)
					return
				}
				requests.Add(2)
			}
		})
	}
	for n := range reloads {
		withPolicies(t, dir, manifest(n+1))
		octotest.Expect(t, s.call("POST", "/v1/policies/reload"), 200, "changed a")
		before := requests.Load()
		octotest.WaitUntil(t, "they go on", func() bool { return requests.Load() > before+4 || failed.Load() > 0 })
	}
	close(stop)
	all.Wait()
	phases, digests := map[string]int{}, map[string]string{}
	records := s.records(t)
	for _, r := range records {
		for _, set := range r.PolicySets() {
			digests[set.ID] = set.Policies[0].Digest
		}
	}
	for _, r := range records {
		if r.Kind == lock.Granted {
			countPhases(t, r, phases, digests)
		}
	}
	t.Logf("%d requests, judged at %v", requests.Load(), phases)
	if phases["request"] == 0 || phases["grant"] == 0 {
		t.Errorf("no policy was evaluated: %v", phases)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// countPhases counts when a grant was judged, each time by one set, of whose policies the
// digest is known.
func countPhases(t *testing.T, r record.Record, phases map[string]int, known map[string]string) {
	t.Helper()
	by := map[string]map[string]string{}
	for _, v := range r.Verdicts {
		if by[v.At] == nil {
			by[v.At] = map[string]string{}
			phases[v.At]++
		}
		by[v.At][v.Policy] += v.Digest
	}
	sets := map[string]string{"request": r.PolicySet, "grant": r.SetAtGrant}
	for at, digests := range by {
		digest := known[sets[at]]
		if len(digests) != 2 || digests["a"] != digests["b"] || digest == "" || digests["a"] != digest[:16] {
			t.Errorf("at the %s it was judged by %v, and the set %s has %s", at, digests, sets[at], digest)
		}
	}
	if r.SetAtGrant != "" && by["grant"] == nil {
		t.Errorf("judged at its turn by set %s, but no policy said so", r.SetAtGrant)
	}
}

// pair acquires a lock and releases it.
func (s *server) pair(name string) error {
	base := "http://" + s.listener.Addr().String() + "/v1/locks/" + name
	var lease struct {
		ID string `json:"lease_id"`
	}
	for _, query := range []string{"/acquire?wait=1m", "/release?lease_id="} {
		response, err := http.Post(base+query+lease.ID, "", nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != 200 {
			return fmt.Errorf("%s: %d %s, %w", query, response.StatusCode, body, err)
		}
		if err := json.Unmarshal(body, &lease); err != nil {
			return err
		}
	}
	return nil
}

// A veto is 403, a policy that cannot answer 503, and a policy in shadow mode is never
// in the way, whatever it does.
func TestPoliciesOverHTTP(t *testing.T) {
	modules := map[string][]byte{"denies": policyCode("check", "i32.const 1"), "traps": policyCode("check", "unreachable"), "loops": policyCode("check", "loop br 0 end i32.const 0")}
	var policies []string
	type wanted struct {
		status int
		part   string
	}
	want := map[string]wanted{}
	for module := range modules {
		for how, members := range map[string]string{"enforce": "", "shadow": `,"mode":"shadow"`, "allow": `,"on_error":"allow"`} {
			name := module + "-" + how
			policies = append(policies, fmt.Sprintf(`{"name":%q,"module":"%s.wasm","match":["%s"]%s}`, name, module, name, members))
			switch {
			case how == "shadow" || how == "allow" && module != "denies":
				want[name] = wanted{200, "lease_id"}
			case module == "denies":
				want[name] = wanted{403, `"policy_denied"`}
			default:
				want[name] = wanted{503, `"policy_error"`}
			}
		}
	}
	s := ruledServer(t, t.TempDir(), onShelf(&shelf{Store: memory.New()}), `{"policies":[`+strings.Join(policies, ",")+`]}`, modules)
	for name, w := range want {
		got := s.call("POST", "/v1/locks/"+name+"/acquire")
		if got.Status != w.status || !strings.Contains(got.Body, w.part) {
			t.Errorf("%s: got %d %s, want %d with %s", name, got.Status, got.Body, w.status, w.part)
		}
	}
	metrics := s.call("GET", "/metrics").Body
	for _, line := range []string{
		`octostore_policy_denials_total{mode="shadow",policy="denies-shadow"} 1`,
		`octostore_policy_errors_total{mode="enforce",policy="traps-enforce"} 1`,
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// An observer goes on after a restart where it was, in the database of the server.
func TestObserverGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	const manifest = `{"policies":[{"name":"watch","module":"watch.wasm","match":["prod/**"],"hooks":["observe"]}]}`
	modules := map[string][]byte{"watch": policyCode("observe", "i32.const 0")}
	for _, calls := range []string{`"calls":2`, `"calls":1`} {
		s := ruledServer(t, dir, openSQLite, manifest, modules)
		held := s.call("POST", "/v1/locks/prod/db/acquire")
		octotest.Expect(t, held, 200, "lease_id")
		octotest.Expect(t, s.call("POST", "/v1/locks/test/db/acquire"), map[bool]int{true: 200, false: 409}[calls == `"calls":2`], "")
		if calls == `"calls":2` {
			octotest.Expect(t, s.call("POST", "/v1/locks/prod/db/release?lease_id="+octotest.Member(t, held.Body, "lease_id")), 200, "")
		}
		octotest.WaitUntil(t, "it has seen them", func() bool { return strings.Contains(s.call("GET", "/v1/policies").Body, calls) })
		octotest.WaitUntil(t, "it has seen everything", func() bool {
			o := s.policies.Policies()[0].Observer
			return o.After == s.serving().journal.Head() && o.Lag == 0
		})
		octotest.Expect(t, s.call("GET", "/metrics"), 200, `octostore_observer_lag_seconds{policy="watch"} 0`)
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
}
