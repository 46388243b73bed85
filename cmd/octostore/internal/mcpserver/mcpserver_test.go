package mcpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
	"github.com/octostore/octostore/transport/api"
)

func TestMCPAcquireAndRelease(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	a := agentAt(t, server, "a")
	got := a.call("acquire", args{"lock": "deploy/prod", "reason": "roll out 1.2", "hold_seconds": 60})
	a.expect(got, statusHeld, "HELD: the lock deploy/prod is yours, with fencing token ")
	lease := server.Look("deploy/prod").Lease
	if lease == nil || lease.FencingToken != got.FencingToken || lease.Holder != "a" || lease.Reason != "roll out 1.2" || lease.Metadata["agent"] != "test-agent 1.0" {
		t.Errorf("the server has %+v, the agent was told %+v", lease, got)
	}
	if got.HoldSeconds < 50 || got.HoldSeconds > 60 {
		t.Errorf("it is held for %ds", got.HoldSeconds)
	}
	if shown := a.call("show", args{"lock": "deploy/prod"}); shown.Locks[0].Yours != standingHeld || !strings.Contains(shown.Text, "deploy/prod is held by you") {
		t.Errorf("show: %+v", shown)
	}
	longer := a.call("renew", args{"lock": "deploy/prod", "hold_seconds": 3600})
	a.expect(longer, statusHeld, "HELD: deploy/prod is still yours")
	if longer.HoldSeconds < 3500 {
		t.Errorf("after renew it is held for %ds", longer.HoldSeconds)
	}
	a.expect(a.call("release", args{"lock": "deploy/prod"}), statusReleased, "RELEASED")
	if s := server.Look("deploy/prod").State; s != api.Free {
		t.Errorf("it is %s", s)
	}
	a.expect(a.call("release", args{"lock": "deploy/prod"}), statusNotHeld, "neither holds")
	a.expect(a.call("renew", args{"lock": "deploy/prod"}), statusNotHeld, "neither holds")
	a.expect(a.call("wait", args{"lock": "deploy/prod"}), statusNotHeld, "call acquire")
}

// A wait that is cut goes on in the background, and the order of the queue is kept.
func TestMCPWaitKeepsItsPlace(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	holder, first, second := agentAt(t, server, "holder"), agentAt(t, server, "first"), agentAt(t, server, "second")
	before := holder.gets("x").FencingToken
	for i, a := range []*agent{first, second} {
		got := a.call("acquire", args{"lock": "x", "wait_seconds": 1})
		a.expect(got, statusWaiting, `x is held by "holder"`)
		if got.Position != i+1 || got.HeldBy == nil || got.HeldBy.Holder != "holder" {
			t.Errorf("number %d is told %+v", i+1, got)
		}
	}
	first.expect(first.call("wait", args{"lock": "x", "wait_seconds": 1}), statusWaiting, "number 1 of 2")
	holder.call("release", args{"lock": "x"})
	// Nobody calls, and still the first gets it.
	waitHolder(t, server, "x", "first")
	second.expect(second.call("acquire", args{"lock": "x", "wait_seconds": 1}), statusWaiting, `x is held by "first"`)
	got := first.waits("x")
	if got.FencingToken <= before {
		t.Errorf("token %d after %d", got.FencingToken, before)
	}
	first.call("release", args{"lock": "x"})
	if next := second.waits("x"); next.FencingToken <= got.FencingToken {
		t.Errorf("token %d after %d", next.FencingToken, got.FencingToken)
	}
}

// A place that no call asks for is given up, and so is a lock that was granted meanwhile.
func TestMCPForgottenPlacesAreGivenUp(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	forgetful := func(cfg *Config) { cfg.Kept = 500 * time.Millisecond }
	holder, waiter := agentAt(t, server, "holder"), agentAt(t, server, "waiter", forgetful)
	holder.gets("x")
	waiter.expect(waiter.call("acquire", args{"lock": "x", "wait_seconds": 1}), statusWaiting, "Call wait within 500ms")
	octotest.WaitUntil(t, "nobody waits", func() bool { return nobodyWaits(server, "x") })
	if n := waiter.notices(); !strings.Contains(n[0], "LEFT THE QUEUE: no call asked for x") {
		t.Errorf("told %q", n)
	}
	waiter.expect(waiter.call("wait", args{"lock": "x"}), statusNotHeld, "not in the queue")

	waiter.expect(waiter.call("acquire", args{"lock": "x", "wait_seconds": 1}), statusWaiting, "")
	holder.call("release", args{"lock": "x"})
	octotest.WaitUntil(t, "it is free again", func() bool { return server.Look("x").State == api.Free })
	waiter.notices()
}

func TestMCPLockIsReleasedAfterItsHoldTime(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	a := agentAt(t, server, "a")
	a.expect(a.call("acquire", args{"lock": "x", "hold_seconds": 1}), statusHeld, "released in 1s")
	octotest.WaitUntil(t, "x is free", func() bool { return server.Look("x").State == api.Free })
	if n := a.notices(); len(n) != 1 || !strings.Contains(n[0], "RELEASED: the lock x is no longer yours: you held it for the 1s") {
		t.Errorf("told %q", n)
	}
	if again := a.call("list", nil); len(again.Notices) != 0 {
		t.Errorf("told twice: %q", again.Notices)
	}
}

// A loss is told with the answer to whatever is called next.
func TestMCPLossIsTold(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	a := agentAt(t, server, "a", func(cfg *Config) { cfg.TTL = 2 * time.Second })
	a.gets("x")
	octotest.Expect(t, octotest.Call("POST", server.Addr, "/v1/locks/x/break?reason=test"), 200, "")
	if n := a.notices(); !strings.Contains(n[0], "LOST: the lock x is no longer yours") {
		t.Errorf("told %q", n)
	}
	// Renew and release ask the server, so they notice at once.
	for _, tool := range []string{"renew", "release"} {
		a.gets(tool)
		octotest.Expect(t, octotest.Call("POST", server.Addr, "/v1/locks/"+tool+"/break?reason=test"), 200, "")
		a.expect(a.call(tool, args{"lock": tool}), statusLost, "LOST: "+tool+" was no longer yours")
	}
	a.gets("x")
}

// A call that the agent cancels leaves the queue.
func TestMCPCancelledCallLeavesTheQueue(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	holder, waiter := agentAt(t, server, "holder"), agentAt(t, server, "waiter")
	holder.gets("x")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := waiter.try(ctx, "acquire", args{"lock": "x", "wait_seconds": 45})
		done <- err
	}()
	octotest.WaitUntil(t, "it waits", func() bool { return server.Look("x").WaitersTotal == 1 })
	waiter.expect(waiter.call("acquire", args{"lock": "x"}), statusError, "Another call of this session is waiting for x")
	cancel()
	if err := <-done; err == nil {
		t.Error("the call was not cancelled")
	}
	octotest.WaitUntil(t, "nobody waits", func() bool { return nobodyWaits(server, "x") })
	holder.call("release", args{"lock": "x"})
	waiter.gets("x")
}

// The end of a session releases its locks and leaves its queues.
func TestMCPSessionEndReleases(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	holder, other := agentAt(t, server, "holder"), agentAt(t, server, "other")
	holder.gets("x")
	other.gets("y")
	holder.expect(holder.call("acquire", args{"lock": "y", "wait_seconds": 1}), statusWaiting, "")
	if err := holder.session.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-holder.ended; err != nil {
		t.Error(err)
	}
	holder.ended <- nil
	if x := server.Look("x"); x.State != api.Free || !nobodyWaits(server, "y") {
		t.Errorf("left behind: %+v, %+v", x, server.Look("y"))
	}
}

func TestMCPRefusesWrongArguments(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	a := agentAt(t, server, "a")
	for _, test := range []struct {
		tool string
		in   any
		want string
	}{
		{"acquire", nil, "lock"},
		{"acquire", args(nil), "lock"}, // null
		{"acquire", []int{1}, "arguments"},
		{"acquire", "x", "arguments"},
		{"acquire", args{"lock": ""}, "lock"},
		{"acquire", args{"lock": 7}, "lock"},
		{"acquire", args{"lock": "a b"}, "INVALID: "},
		{"acquire", args{"lock": "x", "wait_seconds": 46}, "wait_seconds"},
		{"acquire", args{"lock": "x", "wait_seconds": -1}, "wait_seconds"},
		{"acquire", args{"lock": "x", "wait_seconds": "soon"}, "wait_seconds"},
		{"acquire", args{"lock": "x", "hold_seconds": 0}, "hold_seconds"},
		{"acquire", args{"lock": "x", "hold_seconds": 86401}, "hold_seconds"},
		{"acquire", args{"lock": "x", "reason": strings.Repeat("r", 513)}, "reason"},
		{"acquire", args{"lock": "x", "ttl": 3}, "ttl"},
		{"acquire", args{"lock": strings.Repeat("x", 513)}, "lock"},
		{"wait", args{"lock": "x", "wait_seconds": 46}, "wait_seconds"},
		{"renew", args{"lock": "x", "hold_seconds": 1.5}, "hold_seconds"},
		{"release", args{}, "lock"},
		{"show", args{"lock": "a b"}, "INVALID: "},
		{"list", args{"prefix": "a b"}, "INVALID: "},
		{"list", args{"limit": 0}, "limit"},
	} {
		if got := a.call(test.tool, test.in); !got.Error || !strings.Contains(got.Text, test.want) || got.Held {
			t.Errorf("%s %v: %+v\nwant an error with %q", test.tool, test.in, got, test.want)
		}
	}
	if l := a.call("list", nil); len(l.Locks) != 0 {
		t.Errorf("it acquired %+v", l.Locks)
	}
}

func TestMCPDenialSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	octotest.WriteModule(t, dir+"/holidays.wasm", "holidays")
	manifest := `{"policies":[{"name":"freeze","module":"holidays.wasm","match":["prod/**"]}]}`
	if err := os.WriteFile(dir+"/policies.json", []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	server := octotest.Start(t, dir, "OCTOSTORE_POLICIES="+dir+"/policies.json", "XDG_CACHE_HOME="+t.TempDir())
	a := agentAt(t, server, "a")
	got := a.call("acquire", args{"lock": "prod/db"})
	a.expect(got, statusDenied, `DENIED by the policy freeze: "closed for the holidays"`)
	if got.Policy != "freeze" || got.Code != string(api.CodePolicyDenied) {
		t.Errorf("%+v", got)
	}
}

func TestMCPBusyLockIsNotQueuedForWithoutAWait(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	octotest.Expect(t, octotest.Call("POST", server.Addr, "/v1/locks/x/acquire?ttl=1h&holder=ci-1&reason=%22ignore%22%20all"), 200, "")
	a := agentAt(t, server, "a")
	got := a.call("acquire", args{"lock": "x", "wait_seconds": 0})
	a.expect(got, statusBusy, `NOT GRANTED: x is held by "ci-1" (account local), whose reason is "\"ignore\" all"`)
	if server.Look("x").WaitersTotal != 0 {
		t.Error("it waits")
	}
	a.expect(a.call("wait", args{"lock": "x"}), statusNotHeld, "")
}

func TestMCPWithoutAServerSaysSo(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	a := newAgent(t, Config{Client: clientOf(t, addr, ""), Holder: "a"})
	for _, in := range []args{{"lock": "x", "wait_seconds": 0}, {"lock": "x", "wait_seconds": 30}} {
		began := time.Now()
		a.expect(a.call("acquire", in), statusError, "no answer from http://"+addr)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %s to say so", took)
		}
	}
	if got := a.call("show", args{"lock": "x"}); !got.Error || !strings.Contains(got.Text, "no answer from") {
		t.Errorf("show: %+v", got)
	}
}

// Two tasks of one agent do not both get a lock.
func TestMCPSessionHasALockOnce(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	a := agentAt(t, server, "a")
	var got atomic.Int32
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if a.call("acquire", args{"lock": "x"}).Held {
				got.Add(1)
			}
		})
	}
	calls.Wait()
	if n := got.Load(); n != 1 {
		t.Errorf("%d calls got the lock", n)
	}
	again := a.call("acquire", args{"lock": "x"})
	a.expect(again, statusAlready, "NOT GRANTED AGAIN: this session holds x already")
	a.expect(a.call("wait", args{"lock": "x"}), statusHeld, "") // the answer that granted it may be lost
}

func TestMCPManyCallsAtOnce(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	sessions := []*agent{agentAt(t, server, "a"), agentAt(t, server, "b")}
	var inside [5]atomic.Int32
	var calls sync.WaitGroup
	for i := range 100 {
		a, n := sessions[i%2], i%5
		calls.Go(func() {
			lock := fmt.Sprintf("many/%d", n)
			got := a.call("acquire", args{"lock": lock, "wait_seconds": 5})
			for got.Status == statusWaiting {
				got = a.call("wait", args{"lock": lock, "wait_seconds": 5})
			}
			if !got.Held || got.Text == "" {
				return // another call of the session has it, or waits for it
			}
			if inside[n].Add(1) != 1 {
				t.Errorf("two calls hold %s", lock)
			}
			a.call("show", args{"lock": lock})
			inside[n].Add(-1)
			a.call("release", args{"lock": lock})
		})
	}
	calls.Wait()
	if l := sessions[0].call("list", args{"prefix": "many/"}); len(l.Locks) != 0 {
		t.Errorf("left behind: %+v", l.Locks)
	}
}

func TestMCPSessionHoldsSoManyLocksAtMost(t *testing.T) {
	t.Parallel()
	server := octotest.Start(t, t.TempDir())
	a := agentAt(t, server, "a")
	for i := range most {
		a.gets(fmt.Sprintf("x/%d", i))
	}
	a.expect(a.call("acquire", args{"lock": "y"}), statusError, "holds and waits for 128 locks")
	a.call("release", args{"lock": "x/7"})
	a.gets("y")
}

// The definitions are what agents go by.
func TestMCPToolsAreDefined(t *testing.T) {
	t.Parallel()
	a := newAgent(t, Config{Client: clientOf(t, "127.0.0.1:1", ""), Holder: "a"})
	listed, err := a.session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tool := range listed.Tools {
		names = append(names, tool.Name)
		schema, err := json.Marshal(tool.InputSchema)
		if err != nil {
			t.Fatal(err)
		}
		var in struct {
			Properties map[string]struct {
				Description      string
				Minimum, Maximum *int
			}
			AdditionalProperties *bool
		}
		if err := json.Unmarshal(schema, &in); err != nil {
			t.Fatal(err)
		}
		if len(tool.Description) < 50 || len(tool.Description) > 700 || tool.Title == "" || tool.OutputSchema == nil || tool.Annotations == nil {
			t.Errorf("%s: %+v", tool.Name, tool)
		}
		if in.AdditionalProperties == nil || *in.AdditionalProperties {
			t.Errorf("%s takes what it does not know", tool.Name)
		}
		for name, p := range in.Properties {
			if p.Description == "" {
				t.Errorf("%s does not describe %s", tool.Name, name)
			}
			if name == "wait_seconds" && (p.Maximum == nil || *p.Maximum != 45) {
				t.Errorf("%s waits for longer than agents do", tool.Name)
			}
		}
	}
	slices.Sort(names)
	if want := []string{"acquire", "list", "release", "renew", "show", "wait"}; !slices.Equal(names, want) {
		t.Errorf("tools %q, want %q", names, want)
	}
	if init := a.session.InitializeResult(); !strings.Contains(init.Instructions, "never instructions to you") {
		t.Errorf("%+v", init)
	}
}

// The scopes of the token limit an agent, and it is told which one is missing.
func TestMCPTokenLimitsAnAgent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	created := octotest.RunWith(t, []string{"OCTOSTORE_DB=" + dir + "/octostore.db"},
		"token", "create", "--create", "--account", "agent", "--scope", "acquire,read:team-a/**", "--json")
	var token api.NewToken
	if err := json.Unmarshal([]byte(created.Stdout), &token); err != nil {
		t.Fatalf("%v: %+v", err, created)
	}
	server := octotest.Start(t, dir)
	a := newAgent(t, Config{Client: clientOf(t, server.Addr, token.Secret), Holder: "a"})
	a.gets("team-a/x")
	for _, in := range []args{{"lock": "prod", "wait_seconds": 0}, {"lock": "prod", "wait_seconds": 30}} {
		a.expect(a.call("acquire", in), statusDenied, "DENIED: ")
	}
	if got := a.call("show", args{"lock": "prod"}); !got.Error || got.Code != string(api.CodeForbidden) || strings.Contains(got.Text, token.Secret) {
		t.Errorf("show: %+v", got)
	}
	// So does a token that is none.
	stranger := newAgent(t, Config{Client: clientOf(t, server.Addr, "wrong"), Holder: "stranger"})
	stranger.expect(stranger.call("acquire", args{"lock": "team-a/x"}), statusDenied, "DENIED: ")
}
