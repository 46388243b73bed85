package hooks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/octostore/octostore/hooks/wasmtest"
)

// watching makes a guest of the code of its observe.
func watching(code string) []byte {
	return wasmtest.Assemble(guestOf(wasmtest.Func{Name: "observe", Type: "-> i32", Locals: "i32 i64", Code: code}))
}

const line = `{"seq":7,"time":"2026-01-02T03:04:05.000000000Z","kind":"granted","name":"prod/db","token":7,"account":"acme",` +
	`"metadata":{"ticket":"OPS-7"},"ttl_ms":60000,"prev":""}`

// A field of an event is shown in a note, which goes to the log.
func TestObserverReadsTheEvent(t *testing.T) {
	const show = "i32.const 500 i32.const 400 call $get local.tee 0 i32.const -1 i32.eq if i32.const 0 return end " +
		"i32.const 500 local.get 0 i32.const 500 local.get 0 call $note i32.const 0"
	h := newHouse(t)
	for _, tt := range []struct{ key, want string }{
		{"event", line}, {"lock.name", "prod/db"}, {"ttl_ms", "60000"}, {"metadata.ticket", "OPS-7"}, {"config", `{"a":1}`},
		{"hook", "observe"}, {"wait_ms", ""}, {"request", ""}, {"account.held:prod/", ""},
	} {
		h.write("p.wasm", watching(at(tt.key)+show))
		host := h.open(entry("p", `"hooks":["observe"],"config":{"a":1}`))
		p := host.current().policies[0]
		o := p.run(newObservation([]byte(line)))
		got := ""
		if len(o.Notes) > 0 {
			got = o.Notes[0].Value
		}
		if o.Fault != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.key, got, o.Fault, tt.want)
		}
	}
}

func TestObserverIsDoneOrGetsTheEventAgain(t *testing.T) {
	h := newHouse(t)
	for code, want := range map[string]string{
		"i32.const 0": "<nil>",
		"i32.const 1": "result: observe returned 1",
		at("not today") + "call $deny i32.const 2": "result: observe returned 2: not today",
		"unreachable":               "trap:",
		"loop br 0 end i32.const 0": "out_of_fuel:",
	} {
		h.write("p.wasm", watching(code))
		host := h.open(entry("p", `"hooks":["observe"]`, littleFuel))
		for range 2 {
			f := host.current().policies[0].observe(t.Context(), []byte(line))
			if got := fmt.Sprint(f); !strings.HasPrefix(got, want) {
				t.Errorf("%s: got %s, want %s", code, got, want)
			}
		}
	}
}
