package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"slices"
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
	"github.com/octostore/octostore/hooks/wasmtest"
)

// Where the guests of these tests have their data; from freely on they may write.
const (
	keysAt   = 1000
	wideAt   = 10_000 // 4096 bytes of wide characters
	brokenAt = 15_000 // 4096 bytes that are no UTF-8
	linesAt  = 20_000 // 16 KiB of line ends
	emptyAt  = 40_000 // vectors of no bytes
	manyAt   = 60_000 // vectors of all lines
	freely   = 65_536
)

func (s storm) module() []byte {
	m := guestOf(wasmtest.Func{Name: s.export, Type: "-> i32", Locals: "i32 i64", Code: "loop " + s.code + " br 0 end i32.const 0"})
	m.Pages = 16
	for _, f := range guest.Functions()[wasiModule] {
		m.Imports = append(m.Imports, wasmtest.Import{Module: wasiModule, Name: f.Name, Type: strings.TrimSuffix(f.Params+" -> "+f.Results, " -> ")})
	}
	m.Data = append(m.Data,
		wasmtest.Data{At: keysAt, Text: s.key},
		wasmtest.Data{At: wideAt, Text: strings.Repeat("\u20ac\u0301", 800)},
		wasmtest.Data{At: brokenAt, Text: strings.Repeat("\xff", 4096)},
		wasmtest.Data{At: linesAt, Text: strings.Repeat("\n", 16<<10)},
		wasmtest.Data{At: manyAt, Text: strings.Repeat(string([]byte{linesAt & 0xff, linesAt >> 8, 0, 0, 0, 0x40, 0, 0}), 600)},
	)
	return wasmtest.Assemble(m)
}

// dear is how much longer than a unit of the guest's own code a unit may take that a guest
// spends on the host. The slowest code of a guest alone, which misses the caches at every
// step, takes 30 to 50 times as long as the plain code it is compared with.
const dear = 40

// A unit of fuel that a guest spends on the host, with the largest values there are, takes
// about as long as one that it spends itself.
func TestPricesCoverTheWorkOfTheHost(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector slows down the host and not its guests")
	}
	q := largestQuestion(t)
	event := fmt.Sprintf(`{"seq":7,"time":"2026-01-02T03:04:05.000000000Z","kind":"granted","name":"prod/db","token":7,"account":"acme",`+
		`"metadata":{"k1":%q},"ttl_ms":60000,"prev":""}`, strings.Repeat("\u20ac", 2000))
	plain := storm{"check", "", "local.get 0 i32.const 1 i32.add local.set 0"}
	for name, s := range storms() {
		took, times := math.NaN(), math.Inf(1)
		for tries := 0; times > dear && tries < 8; tries++ { // the machine may be busy with other things, a while
			took = perUnit(t, q, event, s)
			times = min(times, took/perUnit(t, q, event, plain))
		}
		t.Logf("%6.2f ns for a unit, %5.1f of plain code: %s", took, times, name)
		if times > dear {
			t.Errorf("%s: a unit takes %.1f times as long as one of plain code, more than %d", name, times, dear)
		}
	}
}

// storm is a guest that has the host do the same again and again.
type storm struct{ export, key, code string }

// storms are all host functions, with small values and large ones.
func storms() map[string]storm {
	ask := fmt.Sprintf("i32.const %d i32.const %%d ", keysAt)
	get := func(key string, most int) storm {
		return storm{"check", key, fmt.Sprintf(ask, len(key)) + fmt.Sprintf("i32.const %d i32.const %d call $get drop", freely, most)}
	}
	number := func(key string) storm {
		return storm{"check", key, fmt.Sprintf(ask, len(key)) + "call $get_i64 drop"}
	}
	observe := func(s storm) storm { s.export = abi.ExportObserve; return s }
	plain := func(code string) storm { return storm{"check", "", code} }
	cases := map[string]storm{
		"get config size":       get(abi.KeyConfig, 0),
		"get config":            get(abi.KeyConfig, 200_000),
		"get request size":      get(abi.KeyRequest, 0),
		"get request":           get(abi.KeyRequest, 200_000),
		"get lock.name":         get(abi.KeyLockName, 1000),
		"get ttl_ms":            get(abi.KeyTTL, 100),
		"get metadata":          get(abi.PrefixMetadata+"k1", 0),
		"get metadata text":     get(abi.PrefixMetadata+"k1", 4096),
		"get nothing":           get(strings.Repeat("x", abi.MaxKey), 0),
		"get held":              get(abi.PrefixAccountHeld+"prod/", 100),
		"get_i64 held":          number(abi.PrefixAccountHeld + "prod/"),
		"get_i64 all held":      number(abi.KeyAccountHeld),
		"get_i64 now":           number(abi.KeyNow),
		"get_i64 of a text":     number(abi.KeyLockName),
		"get of a huge key":     plain(fmt.Sprintf("i32.const 0 i32.const 900000 i32.const %d i32.const 0 call $get drop", freely)),
		"observe event size":    observe(get(abi.KeyEvent, 0)),
		"observe event":         observe(get(abi.KeyEvent, 200_000)),
		"observe lock.name":     observe(get(abi.KeyLockName, 1000)),
		"observe metadata":      observe(get(abi.PrefixMetadata+"k1", 0)),
		"observe number":        observe(number(abi.KeyTTL)),
		"deny":                  plain("i32.const 0 i32.const 512 call $deny"),
		"deny wide":             plain(fmt.Sprintf("i32.const %d i32.const 4096 call $deny", wideAt)),
		"deny broken":           plain(fmt.Sprintf("i32.const %d i32.const 4096 call $deny", brokenAt)),
		"deny huge":             plain("i32.const 0 i32.const 900000 call $deny"),
		"retry_after_ms":        plain("i64.const 9 call $retry_after_ms"),
		"cap":                   plain(at("ttl_ms") + "i64.const 9 call $cap"),
		"note":                  plain(strings.Repeat(fmt.Sprintf("i32.const %d i32.const 200 i32.const %d i32.const 50 call $note ", wideAt, wideAt), 15) + "i32.const 0 return"),
		"note huge":             plain(fmt.Sprintf("i32.const %d i32.const 4096 i32.const 0 i32.const 0 call $note i32.const 0 return", brokenAt)),
		"log once":              plain("i32.const 1 i32.const 0 i32.const 1024 call $log i32.const 0 return"),
		"log":                   plain("i32.const 1 i32.const 0 i32.const 1024 call $log"),
		"log wide":              plain(fmt.Sprintf("i32.const 1 i32.const %d i32.const 4096 call $log", wideAt)),
		"random_get":            plain(fmt.Sprintf("i32.const %d i32.const 65536 call $random_get drop", freely)),
		"random_get little":     plain(fmt.Sprintf("i32.const %d i32.const 1 call $random_get drop", freely)),
		"fd_write text":         plain(fmt.Sprintf("i32.const 1 i32.const %d i32.const 1 i32.const %d call $fd_write drop", manyAt, freely)),
		"fd_write many":         plain(fmt.Sprintf("i32.const 1 i32.const %d i32.const 600 i32.const %d call $fd_write drop", manyAt, freely)),
		"fd_write many of none": plain(fmt.Sprintf("i32.const 1 i32.const %d i32.const 2000 i32.const %d call $fd_write drop", freely+1000, freely)),
		"environ_get":           plain(fmt.Sprintf("i32.const %d i32.const %d call $environ_get drop", freely, freely+8)),
		"environ_sizes_get":     plain(fmt.Sprintf("i32.const %d i32.const %d call $environ_sizes_get drop", freely, freely+8)),
		"args_sizes_get":        plain(fmt.Sprintf("i32.const %d i32.const %d call $args_sizes_get drop", freely, freely+8)),
		"clock_time_get":        plain(fmt.Sprintf("i32.const 0 i64.const 0 i32.const %d call $clock_time_get drop", freely)),
		"poll_oneoff":           plain(fmt.Sprintf("i32.const %d i32.const %d i32.const 64 i32.const %d call $poll_oneoff drop", freely, freely+10_000, freely+20_000)),
		"sched_yield":           plain("call $sched_yield drop"),
		"fd_close":              plain("i32.const 3 call $fd_close drop"),
	}
	for _, f := range append(slices.Clone(guest.Functions()[abi.Module]), guest.Functions()[wasiModule]...) {
		call := "call $" + f.Name + " "
		if f.Name == "proc_exit" || slices.ContainsFunc(slices.Collect(maps.Values(cases)), func(s storm) bool { return strings.Contains(s.code+" ", call) }) {
			continue
		}
		code := ""
		for _, of := range strings.Fields(f.Params) {
			code += fmt.Sprintf("%s.const %d ", of, freely)
		}
		code += call
		if f.Results != "" {
			code += "drop"
		}
		cases[f.Name] = plain(code)
	}
	return cases
}

// perUnit returns the ns that a unit of fuel takes at least.
func perUnit(t *testing.T, q core.Question, event string, s storm) float64 {
	h := newHouse(t)
	h.write("p.wasm", s.module())
	hook := `"hooks":["acquire"]`
	if s.export == abi.ExportObserve {
		hook = `"hooks":["observe"]`
	}
	host, err := Open(t.Context(), Config{
		Manifest: h.manifest(entry("p", hook, `"config":{"x":"`+strings.Repeat("x", 60_000)+`"}`)),
		Logger:   slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	p := host.current().policies[0]
	least := math.Inf(1)
	for range 3 {
		var took time.Duration
		var fuel int64
		for fuel < 2_000_000 {
			i, failed := p.instantiate()
			if failed != nil {
				t.Fatal(failed)
			}
			r := guest.NewRequest(q, time.Now())
			if s.export == abi.ExportObserve {
				r = guest.NewObservation([]byte(event), time.Now())
			}
			begun := time.Now()
			var o guest.Answer
			i.Answer(&r, p.Fuel, &o)
			took += time.Since(begun)
			fuel += o.Fuel
			if o.Fault != nil && o.Fault.Kind != guest.OutOfFuel {
				t.Fatal(o.Fault)
			}
			p.discard(i)
		}
		least = min(least, float64(took.Nanoseconds())/float64(fuel))
	}
	return least
}

// largestQuestion is a question with the longest texts there are, of an account that holds
// some locks.
func largestQuestion(t *testing.T) core.Question {
	log := journal.New(memory.New())
	table, err := table.Open(context.Background(), log, table.Config{Published: log.Publish})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.Close() })
	s, who := core.New(table, core.Config{}), auth.Local()
	for n := range 500 {
		if _, err := s.Acquire(t.Context(), who, core.AcquireRequest{Name: lock.Name(fmt.Sprintf("prod/%d", n)), TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	q := question(lock.Name(strings.Repeat("a", 200) + "/b"))
	q.Held = func(prefix string) int { return table.HeldBy(who.Account, prefix) }
	q.Asked.Reason = strings.Repeat("\u2028", lock.MaxReason/3)
	q.Asked.Metadata = map[string]string{}
	for n := range lock.MaxMetadata {
		q.Asked.Metadata[fmt.Sprintf("k%d", n)] = strings.Repeat("\u20ac\"", 60)
	}
	return q
}

// documentSize is how many bytes the document of a question has.
func documentSize(t *testing.T, h house) int {
	t.Helper()
	h.write("size.wasm", check(at("request")+"i32.const 4000 i32.const 0 call $get i64.extend_i32_u call $retry_after_ms i32.const 1"))
	var denied *core.DeniedError
	_, err := h.open(entry("size")).Judge(t.Context(), question("prod/db"))
	if !errors.As(err, &denied) {
		t.Fatal(err)
	}
	return int(denied.RetryAfter.Milliseconds())
}

// The price of a host call depends on the request alone.
func TestPricesOfTheHost(t *testing.T) {
	h := newHouse(t)
	config := `{"x":"` + strings.Repeat("x", 60_000) + `"}`
	spent := func(code string) int64 {
		m := guestOf(wasmtest.Func{Name: "check", Type: "-> i32", Locals: "i32 i64", Code: code + " i32.const 0"})
		m.Pages = 2
		m.Data = append(m.Data, wasmtest.Data{At: keysAt, Text: strings.Repeat("y", abi.MaxKey)}, wasmtest.Data{At: wideAt, Text: strings.Repeat("\u20ac", 1000)})
		h.write("p.wasm", wasmtest.Assemble(m))
		host := h.open(entry("p", `"config":`+config))
		if _, err := host.Judge(t.Context(), question("prod/db")); err != nil {
			t.Fatal(err)
		}
		return int64(host.Policies()[0].FuelUsed)
	}
	const into = "i32.const 4000 i32.const %d call $get drop "
	for _, tt := range []struct {
		name, code, than string
		want             int64
	}{
		{"a call", "i64.const 0 call $retry_after_ms", "i64.const 0 drop", guest.PriceCall},
		{"the size of the configuration", at("config") + fmt.Sprintf(into, 0), at("key") + fmt.Sprintf(into, 0), 0},
		{"the configuration", at("config") + fmt.Sprintf(into, 70_000), at("key") + fmt.Sprintf(into, 0), int64(len(config)) / guest.BytesPerUnit},
		{"a part of it", at("config") + fmt.Sprintf(into, 800), at("key") + fmt.Sprintf(into, 0), 100},
		{"the size of the document", at("request") + fmt.Sprintf(into, 0), at("key") + fmt.Sprintf(into, 0), int64(documentSize(t, h)) * guest.PricePerByte},
		{"the longest key", fmt.Sprintf("i32.const %d i32.const %d ", keysAt, abi.MaxKey) + fmt.Sprintf(into, 0), at("key") + fmt.Sprintf(into, 0), abi.MaxKey / guest.BytesPerUnit},
		{"a key that is too long", fmt.Sprintf("i32.const %d i32.const %d ", keysAt, abi.MaxKey+1) + fmt.Sprintf(into, 0), at("key") + fmt.Sprintf(into, 0), 0},
		{"counted locks", at("account.held:prod/") + fmt.Sprintf(into, 0), at("key") + fmt.Sprintf(into, 0), 18/guest.BytesPerUnit + guest.PriceHeld + 5*guest.PriceCounted},
		{"counted locks as a number", at("account.held:prod/") + "call $get_i64 drop", at("key") + "call $get_i64 drop", 18/guest.BytesPerUnit + guest.PriceHeld + 5*guest.PriceCounted},
		{"a reason", "i32.const 0 i32.const 90 call $deny", "i32.const 0 i32.const 0 call $deny", 90},
		{"a wide reason", fmt.Sprintf("i32.const %d i32.const 90 call $deny", wideAt), "i32.const 0 i32.const 0 call $deny", 90 * (1 + guest.PriceOdd)},
		{"a reason that is cut", fmt.Sprintf("i32.const %d i32.const 1000 call $deny", keysAt), "i32.const 0 i32.const 0 call $deny", abi.MaxReason},
		{"a note", at("key") + at("value") + "call $note", at("key") + "i32.const 0 i32.const 0 call $note", 5},
		{"a line", "i32.const 1 i32.const 0 i32.const 90 call $log", "i32.const 1 i32.const 0 drop drop", guest.PriceCall + guest.PriceLine + 90},
		{"a line that is not logged", strings.Repeat("i32.const 1 i32.const 0 i32.const 90 call $log ", 17), strings.Repeat("i32.const 1 i32.const 0 i32.const 90 call $log ", 16) +
			"i32.const 1 i32.const 0 drop drop", guest.PriceCall},
	} {
		if got := spent(tt.code) - spent(tt.than); got != tt.want { // both have as many instructions
			t.Errorf("%s costs %d, want %d", tt.name, got, tt.want)
		}
	}
}
