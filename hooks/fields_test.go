package hooks

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/hooks/abi"
	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/internal/manifest"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// around are other locks, as a test wants them.
type around map[lock.Name]*lock.Lease

func (a around) Get(name lock.Name) lock.View { return lock.View{Name: name, Lease: a[name]} }

func (a around) HeldUnder(prefix string, most int) (held, looked int) {
	for name, lease := range a {
		if strings.HasPrefix(string(name), prefix) && looked < most {
			looked++
			if lease != nil {
				held++
			}
		}
	}
	return held, looked
}

// shows is a guest that denies with the text of a key, and with its number as the time to
// come back; it allows if there is no such field.
func shows(key string) []byte {
	at := fmt.Sprintf("i32.const 4000 i32.const %d ", len(key))
	m := guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Locals: "i32 i64", Code: at + "i32.const 500 i32.const 400 call $get local.tee 0 " +
		"i32.const -1 i32.eq if i32.const 0 return end i32.const 500 local.get 0 call $deny " + at + "call $get_i64 call $retry_after_ms i32.const 1"})
	m.Data = append(m.Data, wasmtest.Data{At: 4000, Text: key})
	return wasmtest.Assemble(m)
}

func TestKeysLookBeyondTheRequest(t *testing.T) {
	granted := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	q := question("prod/db")
	q.Asked.Actor.Groups = "github:acme\ngithub:acme/ops\n"
	q.View.Lease = &lock.Lease{Name: "prod/db", Holder: "ci", Account: "acme", GrantedAt: granted, ExpiresAt: granted.Add(time.Hour)}
	q.Locks = around{
		"incident/db": {Name: "incident/db", Holder: "pager", Account: "bob"},
		"team-a/1":    {Name: "team-a/1"}, "team-a/2": {Name: "team-a/2"}, "team-a/free": nil,
	}
	free := q
	free.View.Lease, free.Asked.Actor.Groups = nil, ""
	none := q
	none.Asked.Actor.Groups = "\n"
	alone := q
	alone.Locks = nil
	const noNumber = time.Duration(0)
	ms := time.Millisecond
	for _, tt := range []struct {
		key    string
		q      core.Question
		there  bool
		text   string
		number time.Duration
	}{
		{"lock.granted_at_ms", q, true, "1767254400000", 1767254400000 * ms},
		{"lock.granted_at_ms", free, false, "", 0},
		{"lock.state:incident/db", q, true, "held", 1 * ms},
		{"lock.holder:incident/db", q, true, "pager", noNumber},
		{"lock.account:incident/db", q, true, "bob", noNumber},
		{"lock.state:team-a/1", q, true, "held", 1 * ms},
		{"lock.holder:team-a/1", q, true, "denied by p", noNumber}, // it is there and empty
		{"lock.state:team-a/free", q, true, "free", 0},
		{"lock.state:incident/no name", q, true, "free", 0},
		{"lock.state:", q, true, "free", 0},
		{"lock.holder:team-a/free", q, false, "", 0},
		{"lock.account:team-a/none", q, false, "", 0},
		{"lock.state:incident/db", alone, false, "", 0},
		{"held:team-a/", q, true, "2", 2 * ms},
		{"held:team-a/1", q, true, "1", 1 * ms},
		{"held:", q, true, "3", 3 * ms},
		{"held:none", q, true, "0", 0},
		{"held:team-a/", alone, false, "", 0},
		{"account.groups", q, true, "github:acme\ngithub:acme/ops", noNumber},
		{"account.groups", none, true, "denied by p", noNumber},
		{"account.groups", free, false, "", 0},
		{"local_time:Europe/Berlin", q, true, "2026-07-01T14:30:00+02:00", noNumber},
		{"local_time:America/St_Johns", q, true, "2026-07-01T10:00:00-02:30", noNumber},
		{"local_time:UTC", q, true, "2026-07-01T12:30:00Z", noNumber},
		{"local_time:Europe/Berlin", alone, true, "2026-07-01T14:30:00+02:00", noNumber},
		{"local_time:Europe/Nowhere", q, false, "", 0},
		{"local_time:Local", q, false, "", 0},
		{"local_time:localtime", q, false, "", 0},
		{"local_time:posix/Europe/Berlin", q, false, "", 0},
		{"local_time:", q, false, "", 0},
		{"local_time:../etc/passwd", q, false, "", 0},
		{"local_time:/etc/passwd", q, false, "", 0},
		{"lock.state", q, false, "", 0},
		{"lock.later:incident/db", q, false, "", 0},
	} {
		trial := openTrial(t, shows(tt.key), TrialConfig{Name: "p"})
		o := trial.Ask(Case{Question: tt.q, Now: time.Date(2026, 7, 1, 12, 30, 0, 0, time.UTC)})
		text := strings.ReplaceAll(tt.text, "\n", " ") // what a caller reads is printable
		if o.Fault != nil || (o.Verdict == "deny") != tt.there || o.Reason != text || o.RetryAfter != tt.number {
			t.Errorf("%s: %s, %q, %v, %v; want %q, %v", tt.key, o.Verdict, o.Reason, o.RetryAfter, o.Fault, text, tt.number)
		}
	}
}

// A field that is absent could pass for a lock that is free, so a policy that looks where
// its manifest does not let it look fails, and the failure says what to add.
func TestKeysOfOtherLocksNeedTheManifest(t *testing.T) {
	h := newHouse(t)
	q := question("prod/db")
	q.Locks = around{}
	for _, tt := range []struct{ key, reads, want string }{
		{"lock.state:incident/x", "", `lock.state:incident/x is not readable: add "incident/" to "reads" of the manifest`},
		{"lock.holder:incident/x", `"reads":[]`, `lock.holder:incident/x is not readable: add "incident/" to "reads" of the manifest`},
		{"lock.account:freeze", `"reads":["incident/"]`, `lock.account:freeze is not readable: add "freeze" to "reads" of the manifest`},
		{"held:team-a/", `"reads":["team-a/b"]`, `held:team-a/ is not readable: add "team-a/" to "reads" of the manifest`},
		{"held:", `"reads":["team-a/"]`, `held: is not readable: add "" to "reads" of the manifest`},
		{"lock.state:incident/x", `"reads":["incident/"]`, ""},
		{"lock.state:incident/x", `"reads":["team-a/","incident"]`, ""},
		{"held:team-a/", `"reads":["team-"]`, ""},
		{"held:", `"reads":[""]`, ""},
		{"local_time:UTC", "", ""},
	} {
		h.write("p.wasm", shows(tt.key))
		member := tt.reads
		if member == "" {
			member = `"mode":"enforce"`
		}
		e, err := h.open(entry("p", member)).Explain(t.Context(), q, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		fault := ""
		if f := e.Policies[0].Said.Fault; f != nil {
			fault = f.Error()
		}
		if !strings.Contains(fault, tt.want) || (fault == "") != (tt.want == "") {
			t.Errorf("%s with %s: %q, want %q", tt.key, tt.reads, fault, tt.want)
		}
	}
}

// The fields of a policy in the manifest are checked like everything else in it.
func TestManifestReads(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", allows)
	many := `"a0"` + strings.Repeat(`,"x"`, 16)
	for _, tt := range []struct{ reads, want string }{
		{`["incident/","approval/"]`, ""},
		{`[""]`, ""},
		{`[]`, ""},
		{`"incident/"`, "reads: is a string; want a list of prefixes"},
		{`null`, "reads: is null; want a list of prefixes"},
		{`["incident/**"]`, `reads: "incident/**" has the character '*' at byte 10; want the beginning of a name`},
		{`["a b"]`, `reads: "a b" has the character ' ' at byte 2`},
		{`["a","a"]`, `reads: has "a" twice`},
		{`[` + many + `]`, "reads: has 17 members; want at most 16"},
	} {
		m, err := manifest.Read(h.manifest(entry("p", `"reads":`+tt.reads)))
		if got := fmt.Sprint(err); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(got, tt.want) {
			t.Errorf("%s: %v %v, want %q", tt.reads, m, err, tt.want)
		}
	}
	host := h.open(entry("p", `"reads":["a"]`))
	h.manifest(entry("p", `"reads":["a","b"]`))
	if changes, err := host.Reload(t.Context()); err != nil || !strings.Contains(changes, "changed p") {
		t.Errorf("a reload that changes what it may look at says %q, %v", changes, err)
	}
}

// Observers know the time in a zone, and of other locks nothing.
func TestKeysThatLookBeyondAnEvent(t *testing.T) {
	for key, want := range map[string]string{"local_time:Asia/Tokyo": "2026-07-01T21:30:00+09:00", "lock.state:x": "", "held:": "", "account.groups": ""} {
		at := fmt.Sprintf("i32.const 4000 i32.const %d ", len(key))
		m := guestOf(wasmtest.Func{Name: "observe", Type: "-> i32", Locals: "i32 i64", Code: at + "i32.const 500 i32.const 400 call $get local.tee 0 " +
			"i32.const -1 i32.eq if i32.const 0 return end i32.const 500 local.get 0 call $deny i32.const 1"})
		m.Data = append(m.Data, wasmtest.Data{At: 4000, Text: key})
		trial := openTrial(t, wasmtest.Assemble(m), TrialConfig{Reads: []string{}})
		if o := trial.Ask(Case{Event: []byte(`{"seq":1,"kind":"granted","name":"x"}`), Now: time.Date(2026, 7, 1, 12, 30, 0, 0, time.UTC)}); o.Reason != want {
			t.Errorf("%s: %+v, want %q", key, o, want)
		}
	}
}

// The service shows its policies the table's locks, the lease's first grant at a
// renewal, and counts to a bound.
func TestKeysOfAServer(t *testing.T) {
	h := newHouse(t)
	log := journal.New(memory.New())
	table, err := table.Open(context.Background(), log, table.Config{Published: log.Publish})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	service := func(key string) *core.Service {
		h.write("p.wasm", shows(key))
		return core.New(table, core.Config{Guard: h.open(entry("p", `"reads":[""]`, `"match":["prod/**"]`, `"hooks":["acquire","renew"]`))})
	}
	who := auth.Local()
	incident, err := service("hook").Acquire(t.Context(), who, core.AcquireRequest{Name: "incident/db", TTL: time.Minute, Holder: "pager"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(key string) string {
		_, err := service(key).Acquire(t.Context(), who, core.AcquireRequest{Name: "prod/db", TTL: time.Minute})
		denied, is := err.(*core.DeniedError)
		if !is {
			return fmt.Sprint(err)
		}
		return denied.Reason
	}
	for key, want := range map[string]string{
		"lock.state:incident/db": "held", "lock.holder:incident/db": "pager", "lock.account:incident/db": "local", "held:incident/": "1", "held:": "1",
	} {
		if got := ask(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	s := service("lock.granted_at_ms")
	g, err := core.New(table, core.Config{}).Acquire(t.Context(), who, core.AcquireRequest{Name: "prod/x", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := core.New(table, core.Config{}).Renew(t.Context(), who, lock.RenewRequest{Name: "prod/x", LeaseID: g.LeaseID}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Renew(t.Context(), who, lock.RenewRequest{Name: "prod/x", LeaseID: g.LeaseID})
	if denied, is := err.(*core.DeniedError); !is || denied.Reason != fmt.Sprint(g.Lease.GrantedAt.UnixMilli()) {
		t.Errorf("%v; want the first grant, %d", err, g.Lease.GrantedAt.UnixMilli())
	}
	_ = incident
}

// Looking costs by what is looked at, and no more is done than there is fuel for.
func TestKeysThatLookHaveTheirPrice(t *testing.T) {
	locks := around{}
	for i := range abi.MaxCounted + 50 {
		name := lock.Name(fmt.Sprint("n", i))
		locks[name] = &lock.Lease{Name: name}
	}
	q := question("x")
	q.Locks = locks
	fuel := func(key string) (Outcome, int64) {
		o := openTrial(t, shows(key), TrialConfig{Fuel: manifest.MaxFuel}).Ask(Case{Question: q})
		return o, o.Fuel
	}
	few, cheap := fuel("held:none")
	many, dear := fuel("held:n")
	if few.Reason != "0" || many.Reason != fmt.Sprint(abi.MaxCounted) || dear-cheap < 2*abi.MaxCounted*guest.PriceCounted {
		t.Errorf("%s for %d, %s for %d", few.Reason, cheap, many.Reason, dear)
	}
	if _, n := fuel("lock.state:n1"); n < 2*guest.PriceLook {
		t.Errorf("a look costs %d", n)
	}
	if _, n := fuel("local_time:No/Zone"); n < guest.PriceZone {
		t.Errorf("a zone that is none costs %d", n)
	}
	h := newHouse(t)
	h.write("p.wasm", shows("held:n"))
	host := h.open(entry("p", `"reads":[""]`, `"mode":"shadow"`, `"fuel":10000`)) // in shadow a first call has no more
	if got := said(host.Judge(t.Context(), q)); got != "p error; yes" {
		t.Error(got)
	}
}
