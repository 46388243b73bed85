package rules

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pure is the package that is a state machine: what it does follows from the commands and
// instants it is given, and from nothing else.
const pure = "core/lock"

// impure are imports that share memory, wait, do I/O, read a clock or draw lots.
var impure = []string{"sync", "context", "os", "io", "net", "log", "syscall", "runtime", "math/rand", "crypto/rand", "unsafe"}

// clocks are the members of package time that read a clock or wait for it.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Timer", "Ticker"}

func TestPurityOfTheLockRules(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "..", filepath.FromSlash(pure), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources of %s: %v", pure, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range impurities(t, string(text)) {
			t.Errorf("%s/%s: %s", pure, filepath.Base(file), fault)
		}
	}
}

// The check itself has to see every kind of impurity.
func TestPurityRuleCatches(t *testing.T) {
	for source, want := range map[string]string{
		`import "time"; var a, b time.Time; var d = a.Sub(b) + time.Second`: "",
		`import "sync"; var mu sync.Mutex`:                                  "imports sync",
		`import "sync/atomic"; var n atomic.Int64`:                          "imports sync/atomic",
		`import "context"; func f(context.Context) {}`:                      "imports context",
		`import "os"; var f = os.Stdout`:                                    "imports os",
		`import "math/rand/v2"; var n = rand.Int()`:                         "imports math/rand/v2",
		`import "time"; var at = time.Now()`:                                "uses time.Now",
		`import clock "time"; var at = clock.Now`:                           "uses time.Now",
		`import . "time"; var at = Now()`:                                   "imports time without its name",
		`import "time"; var d = time.Since(time.Time{})`:                    "uses time.Since",
		`import "time"; var d = time.Until(time.Time{})`:                    "uses time.Until",
		`import "time"; func f() { time.Sleep(1) }`:                         "uses time.Sleep",
		`import "time"; var t = time.AfterFunc(1, func() {})`:               "uses time.AfterFunc",
		`import "time"; var t = time.NewTimer(1)`:                           "uses time.NewTimer",
		`import "time"; var t = time.NewTicker(1)`:                          "uses time.NewTicker",
		`func f() { go f() }`:                                               "starts a goroutine",
		`var c chan int`:                                                    "has a channel",
		`func f[C ~chan int](c C) { select {} }`:                            "has a channel",
		`func f() { select {} }`:                                            "has a select statement",
	} {
		got := impurities(t, "package p; "+source)
		if want == "" && len(got) > 0 || want != "" && !slices.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}

// impurities returns what a source file has that a pure one may not have.
func impurities(t *testing.T, source string) (found []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	clock := "" // the name of package time in this file
	for _, i := range file.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(impure, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") }) {
			found = append(found, "imports "+path)
		}
		if path != "time" {
			continue
		}
		if clock = "time"; i.Name != nil {
			clock = i.Name.Name
		}
		if clock == "." {
			found = append(found, "imports time without its name")
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "starts a goroutine")
		case *ast.ChanType:
			found = append(found, "has a channel")
		case *ast.SelectStmt:
			found = append(found, "has a select statement")
		case *ast.SelectorExpr:
			if x, is := n.X.(*ast.Ident); is && x.Name == clock && slices.Contains(clocks, n.Sel.Name) {
				found = append(found, fmt.Sprintf("uses time.%s", n.Sel.Name))
			}
		}
		return true
	})
	return found
}
