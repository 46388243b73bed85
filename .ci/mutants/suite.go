package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// suite runs tests in a copy of the tree.
type suite struct {
	dir    string
	prefix []string // command that go test is run under
	limit  time.Duration
}

type outcome int

const (
	survived outcome = iota
	caught
	timedOut // caught, because the tests did not end
	broken   // it does not compile, so nothing was tested
)

func (o outcome) String() string {
	return [...]string{"survived", "caught", "caught by the time limit", "does not compile"}[o]
}

// result is what became of a mutant.
type result struct {
	mutant  mutant
	outcome outcome
	pkg     string   // whose tests noticed
	tests   []string // that failed, in the order in which they did
	took    time.Duration
	output  string
}

// baseline runs all tests that will be relied on, on the unchanged tree.
func (s suite) baseline(ctx context.Context, t tree, chosen []mutant) error {
	var packages []string
	for _, m := range chosen {
		packages = append(packages, m.tests...)
	}
	slices.Sort(packages)
	if err := t.write(s.dir); err != nil {
		return err
	}
	for _, pkg := range slices.Compact(packages) {
		r, err := s.goTest(ctx, pkg)
		if err != nil {
			return err
		}
		if r.outcome != survived {
			return fmt.Errorf("%s fails without any mutant: %s\n%s", pkg, strings.Join(r.tests, ", "), r.output)
		}
	}
	return nil
}

// test applies one mutant and runs its packages until one notices.
func (s suite) test(ctx context.Context, t tree, m mutant) (result, error) {
	start := time.Now()
	data, err := t.mutated(m)
	if err != nil {
		return result{}, err
	}
	if err := t.write(s.dir); err != nil {
		return result{}, err
	}
	if err := os.WriteFile(filepath.Join(s.dir, m.file), data, t[m.file].mode); err != nil {
		return result{}, err
	}
	r := result{}
	for _, pkg := range m.tests {
		if r, err = s.goTest(ctx, pkg); err != nil {
			return result{}, err
		}
		if r.outcome != survived {
			break
		}
	}
	r.mutant, r.took = m, time.Since(start)
	return r, nil
}

// goTest runs the tests of one package. They fail by an outcome, not by an error.
func (s suite) goTest(ctx context.Context, pkg string) (result, error) {
	args := append(slices.Clone(s.prefix), "go", "test", "-json", "-vet=off", "-short", "-timeout="+s.limit.String(), pkg)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = s.dir
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), "PWD="+s.dir, "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return result{}, ctx.Err()
	}
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		return result{}, fmt.Errorf("run go test: %w", err)
	}
	r := readEvents(out)
	r.pkg = pkg
	r.output += stderr.String()
	if err != nil && r.outcome == survived {
		return result{}, fmt.Errorf("go test %s: %w\n%s", pkg, err, r.output)
	}
	return r, nil
}

// event is a line of go test -json.
type event struct {
	Action, Test, Output, FailedBuild string
}

func readEvents(out []byte) result {
	var r result
	var text strings.Builder
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		text.WriteString(e.Output)
		switch {
		case e.FailedBuild != "":
			r.outcome = broken
		case e.Action == "fail" && r.outcome == survived:
			r.outcome = caught
		}
		if strings.HasPrefix(e.Output, "panic: test timed out") {
			r.outcome = timedOut
		}
		if e.Action == "fail" && e.Test != "" {
			r.tests = append(r.tests, e.Test)
		}
	}
	r.tests = leaves(r.tests)
	r.output = text.String()
	return r
}

// leaves returns the failed tests without those that only contain one, each down to
// its first subtest.
func leaves(failed []string) []string {
	var found []string
	for _, name := range failed {
		if slices.ContainsFunc(failed, func(other string) bool { return strings.HasPrefix(other, name+"/") }) {
			continue
		}
		parts := strings.SplitN(name, "/", 3)
		name = strings.Join(parts[:min(2, len(parts))], "/")
		if !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	return found
}
