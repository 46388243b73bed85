package hooks

import (
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/hooks/internal/guest"
	"github.com/octostore/octostore/hooks/wasmtest"
)

// plain is a module without the export configure that knows the given text.
func plain(text string) []byte {
	return wasmtest.Assemble(wasmtest.Module{
		Pages: 1, Data: []wasmtest.Data{{Text: text}}, Funcs: []wasmtest.Func{{Name: "check", Type: "-> i32", Code: "i32.const 0"}},
	})
}

// A configuration that the module cannot read would look as if it counted.
func TestConfigOfAModuleWithoutConfigureIsRefused(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", plain("lock.name"))
	h.write("getter.wasm", plain("config")) // it may get the key when it is asked
	h.write("wide.wasm", plain("c\x00o\x00n\x00f\x00i\x00g\x00"))
	_, err := Open(t.Context(), Config{Manifest: h.manifest(entry("p", `"config":{"longest":"15m"}`))})
	if err == nil || !strings.Contains(err.Error(), "policy p: module "+h.dir+"/p.wasm: config: the module has no configure; remove it") {
		t.Errorf("got %v", err)
	}
	h.open(entry("p", `"config":{ }`), entry("getter", `"config":{"a":1}`), entry("wide", `"config":{"a":1}`))

	trial, err := OpenTrial(t.Context(), plain(""), TrialConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer trial.Close()
	if err := trial.Configure([]byte(`{"a":1}`)); err == nil || err.Error() != "config: the module has no configure; remove it" {
		t.Errorf("a trial says %v", err)
	}
	if err := trial.Configure(nil); err != nil {
		t.Error(err)
	}
}

// WebAssembly text is what people write; they are told how to make a module of it.
func TestTextFormIsRefusedWithAHint(t *testing.T) {
	const hint = "it is WebAssembly text (WAT), not a module; assemble it: wat2wasm FILE.wat -o FILE.wasm"
	for _, text := range []string{"(module)", "\n ;; a policy\n(module)", "(; a policy ;)(module)", "\ufeff(module"} {
		if _, err := OpenTrial(t.Context(), []byte(text), TrialConfig{}); err == nil || err.Error() != hint {
			t.Errorf("%q: got %v", text, err)
		}
		in, err := Inspect(t.Context(), []byte(text), TrialConfig{})
		if err != nil || len(in.Refused) != 1 || in.Refused[0] != hint {
			t.Errorf("%q: inspect says %q, %v", text, in.Refused, err)
		}
	}
	for _, text := range []string{"", "hello", "\x00asm\x01\x00\x00\x00(module)"} {
		if err := guest.TextHint([]byte(text)); err != nil {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// A policy that is off is listed in its place, and explained, but not loaded.
func TestPolicyThatIsOffIsListed(t *testing.T) {
	h := newHouse(t)
	h.write("p.wasm", plain(""))
	off := func(name string) string {
		return `{"name":"` + name + `","module":"missing.wasm","match":["**"],"mode":"off"}`
	}
	host := h.open(off("first"), entry("p"), off("second"), off("third"))
	var listed []string
	for _, s := range host.Policies() {
		listed = append(listed, s.Name+" "+string(s.Mode))
		if loaded := s.Digest != ""; loaded != (s.Name == "p") {
			t.Errorf("%s has the digest %q", s.Name, s.Digest)
		}
	}
	if got := strings.Join(listed, ", "); got != "first off, p enforce, second off, third off" {
		t.Errorf("got %s", got)
	}
	e, err := host.Explain(t.Context(), question("x"), time.Time{})
	if err != nil || len(e.Policies) != 4 || e.Policies[2].Name != "second" || e.Policies[2].Asked || e.Policies[2].Why != "its mode is off" {
		t.Errorf("got %+v, %v", e, err)
	}
}
