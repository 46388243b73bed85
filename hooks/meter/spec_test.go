package meter

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

var spectestAll = flag.Bool("spectest.all", false, "run all of the specification's suite, in the compiler and the interpreter")

// comparison is what the suite runs in, as it is and metered.
type comparison struct {
	name           string
	plain, metered wazero.RuntimeConfig
	cfg            Config
}

func comparisons() []comparison {
	cfg := Config{Fuel: plenty, open: true}
	rewritten := cfg
	rewritten.RewriteRemainders = true
	compiler, interpreter := wazero.NewRuntimeConfig(), wazero.NewRuntimeConfigInterpreter()
	if !*spectestAll {
		return []comparison{{"some", compiler, compiler, rewritten}}
	}
	return []comparison{
		{"compiler", compiler, compiler, cfg},
		{"interpreter", interpreter, interpreter, cfg},
		{"remainders rewritten", compiler, compiler, rewritten},
	}
}

// some files of the suite have to do with what the meter rewrites.
var some = regexp.MustCompile(`^(block|br_if|br_table|bulk|call|call_indirect|data|elem|f64|func|global|i32|i64|if|int_exprs|left-to-right|linking|loop|memory_grow|memory_init|ref_func|return|select|simd_load|start|switch|table_copy|table_grow|unreachable|unwind)$`)

// The test suite of the WebAssembly specification, as the runtime carries it, is run
// twice side by side: as it is, and metered. Whatever is asked of both, they have to
// answer alike, or the module was refused. "make spectest" runs all of it.
func TestSpecificationBehavesTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("nothing runs beside it that the race detector could see")
	}
	suite := filepath.Join(wazeroDir(t), "internal", "integration_test", "spectest")
	files, err := filepath.Glob(filepath.Join(suite, "v2", "testdata", "*.json"))
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	spectest, err := os.ReadFile(filepath.Join(suite, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	least := tally{modules: 250, calls: 4000}
	if *spectestAll {
		least = tally{modules: 1500, calls: 40_000}
	}
	for _, c := range comparisons() {
		var total tally
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			if !*spectestAll && !some.MatchString(name) {
				continue
			}
			t.Run(c.name+"/"+name, func(t *testing.T) { total.add(runScript(t, c, file, spectest)) })
		}
		t.Logf("%s: %d modules metered, %d refused, %d calls compared", c.name, total.modules, total.refused, total.calls)
		if total.modules < least.modules || total.refused > 0 || total.calls < least.calls {
			t.Errorf("%s: %+v: that is not the suite, or too much is refused", c.name, total)
		}
	}
}

// wazeroDir returns where the source of the runtime lies.
func wazeroDir(t testing.TB) string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(dir))
}

type tally struct{ modules, refused, calls int }

func (a *tally) add(b tally) { a.modules += b.modules; a.refused += b.refused; a.calls += b.calls }

// command is one line of a script, as far as it matters here.
type command struct {
	Type     string
	Line     int
	Name     string
	Filename string
	As       string
	Action   struct {
		Type, Field, Module string
		Args                []struct {
			Type     string
			LaneType string `json:"lane_type"`
			Value    any
		}
	}
}

func runScript(t *testing.T, c comparison, file string, spectest []byte) tally {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var script struct{ Commands []command }
	if err := json.Unmarshal(text, &script); err != nil {
		t.Fatal(err)
	}
	s := &sideBySide{t: t, dir: filepath.Dir(file), cfg: c.cfg, plain: newWorld(t, c.plain, spectest), metered: newWorld(t, c.metered, spectest)}
	for _, c := range script.Commands {
		s.do(c)
	}
	return s.tally
}

// world is a runtime with the modules of a script.
type world struct {
	rt    wazero.Runtime
	last  api.Module
	named map[string]api.Module
}

func newWorld(t *testing.T, cfg wazero.RuntimeConfig, spectest []byte) *world {
	ctx := context.Background()
	w := &world{rt: wazero.NewRuntimeWithConfig(ctx, cfg), named: map[string]api.Module{}}
	t.Cleanup(func() { w.rt.Close(ctx) })
	if _, err := w.rt.InstantiateWithConfig(ctx, spectest, wazero.NewModuleConfig().WithName("spectest")); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) instantiate(binary []byte, name string) error {
	m, err := w.rt.InstantiateWithConfig(context.Background(), binary, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return err
	}
	w.last = m
	if name != "" {
		w.named[name] = m
	}
	return nil
}

func (w *world) module(name string) api.Module {
	if name == "" {
		return w.last
	}
	return w.named[name]
}

type sideBySide struct {
	tally
	t              *testing.T
	dir            string
	cfg            Config
	plain, metered *world
}

func (s *sideBySide) do(c command) {
	switch c.Type {
	case "module", "assert_uninstantiable", "assert_unlinkable":
		s.load(c)
	case "register":
		s.register(c)
	case "assert_invalid", "assert_malformed":
		s.invalid(c)
	case "assert_return", "assert_trap", "assert_exhaustion", "action":
		if c.Action.Type == "invoke" {
			s.invoke(c)
		}
	}
}

const plenty = 1 << 60

func (s *sideBySide) load(c command) {
	if strings.HasSuffix(c.Filename, ".wat") {
		return
	}
	binary := s.read(c)
	plain := s.plain.instantiate(binary, c.Name)
	code, err := Instrument(binary, s.cfg)
	if err != nil {
		if plain == nil {
			s.refused++
			s.t.Logf("line %d: refused: %v", c.Line, err)
		}
		s.plain.last, s.metered.last = nil, nil
		delete(s.plain.named, c.Name)
		return
	}
	s.modules++
	metered := s.metered.instantiate(code, c.Name)
	if kindOf(plain) != kindOf(metered) {
		s.t.Errorf("line %d: %s: plain %v, metered %v", c.Line, c.Filename, plain, metered)
	}
}

func (s *sideBySide) read(c command) []byte {
	binary, err := os.ReadFile(filepath.Join(s.dir, c.Filename))
	if err != nil {
		s.t.Fatal(err)
	}
	return binary
}

// invalid modules must not become valid.
func (s *sideBySide) invalid(c command) {
	if strings.HasSuffix(c.Filename, ".wat") {
		return
	}
	binary := s.read(c)
	code, err := Instrument(binary, s.cfg)
	if err != nil {
		return
	}
	ctx := context.Background()
	_, plain := s.plain.rt.CompileModule(ctx, binary)
	_, metered := s.metered.rt.CompileModule(ctx, code)
	if plain != nil && metered == nil {
		s.t.Errorf("line %d: %s became valid: %v", c.Line, c.Filename, plain)
	}
}

// register has to make the module again under the name, since a name is given at
// instantiation. It is enough for what the suite does with it.
func (s *sideBySide) register(c command) {
	for _, w := range []*world{s.plain, s.metered} {
		if m := w.module(c.Name); m != nil {
			w.named[c.As] = m
		}
	}
}

func (s *sideBySide) invoke(c command) {
	plain, metered := s.plain.module(c.Action.Module), s.metered.module(c.Action.Module)
	if plain == nil || metered == nil {
		return
	}
	s.calls++
	args := c.arguments()
	want, wantErr := call(plain, c.Action.Field, args)
	if fuel, is := metered.ExportedGlobal(Global).(api.MutableGlobal); is {
		fuel.Set(plenty)
	}
	got, gotErr := call(metered, c.Action.Field, args)
	if kindOf(wantErr) != kindOf(gotErr) {
		if c.Type == "assert_exhaustion" && wantErr != nil && gotErr != nil {
			return
		}
		s.t.Errorf("line %d: %s%v: plain %v, metered %v", c.Line, c.Action.Field, args, wantErr, gotErr)
		return
	}
	if !slices.Equal(want, got) {
		s.t.Errorf("line %d: %s%v: plain %v, metered %v", c.Line, c.Action.Field, args, want, got)
	}
}

func call(m api.Module, name string, args []uint64) (results []uint64, err error) {
	f := m.ExportedFunction(name)
	if f == nil {
		return nil, errors.New("no such function")
	}
	results, err = f.Call(context.Background(), args...)
	for i, t := range f.Definition().ResultTypes() {
		if err == nil && (t == api.ValueTypeExternref || t == 0x70) {
			results[i] = min(results[i], 1) // an address: only whether it is null counts
		}
	}
	return results, err
}

// kindOf is what has to be the same of two errors: the kind of trap.
func kindOf(err error) string {
	if err == nil {
		return ""
	}
	kind, _, _ := strings.Cut(err.Error(), "\n")
	if strings.HasPrefix(kind, "wasm error") {
		return kind
	}
	return "other"
}

// arguments returns the operands of a call as the runtime wants them.
func (c command) arguments() (all []uint64) {
	for _, a := range c.Action.Args {
		if lanes, is := a.Value.([]any); is {
			all = append(all, vectorOf(a.LaneType, lanes)...)
			continue
		}
		text := fmt.Sprint(a.Value)
		n, err := strconv.ParseUint(text, 10, 64)
		switch {
		case strings.Contains(text, "nan"):
			n = 0x7ff8000000000000
			if a.Type == "f32" {
				n = 0x7fc00000
			}
		case text == "null":
			n = 0
		case err != nil:
			panic(err)
		case a.Type == "externref":
			n++
		}
		all = append(all, n)
	}
	return all
}

func vectorOf(lane string, lanes []any) []uint64 {
	bits, _ := strconv.Atoi(lane[1:])
	var v [2]uint64
	for i, l := range lanes {
		n, err := strconv.ParseUint(fmt.Sprint(l), 10, 64)
		if err != nil {
			n = 0x7fc00000
		}
		at := i * bits
		v[at/64] |= n << (at % 64)
	}
	return v[:]
}
