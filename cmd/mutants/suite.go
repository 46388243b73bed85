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

// result is the outcome of a mutant.
type result struct {
	mutant  mutant
	outcome outcome
	run     string   // of go test, that noticed
	tests   []string // that failed: the first, and those that ran beside it
	empty   bool     // go test found no test to run
	took    time.Duration
	output  string
}

// baseline runs all tests that will be relied on, on the unchanged tree.
func (s suite) baseline(ctx context.Context, t tree, chosen []mutant) error {
	var runs []string
	for _, m := range chosen {
		runs = append(runs, m.tests...)
	}
	slices.Sort(runs)
	if err := t.write(s.dir); err != nil {
		return err
	}
	for _, run := range slices.Compact(runs) {
		r, err := s.goTest(ctx, run)
		if err != nil {
			return err
		}
		if r.outcome != survived {
			return fmt.Errorf("go test %s fails without any mutant: %s", run, strings.Join(r.tests, ", "))
		}
		if r.empty {
			return fmt.Errorf("go test %s runs no test, so it would catch nothing", run)
		}
	}
	return nil
}

// test applies one mutant and runs its tests until some notice.
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
	for _, run := range m.tests {
		if r, err = s.goTest(ctx, run); err != nil {
			return result{}, err
		}
		if r.outcome != survived {
			break
		}
	}
	r.mutant, r.took = m, time.Since(start)
	return r, nil
}

// goTest runs tests until one fails. They fail by an outcome, not by an error.
func (s suite) goTest(ctx context.Context, run string) (result, error) {
	test := []string{"go", "test", "-json", "-vet=off", "-failfast", "-timeout=" + s.limit.String()}
	args := slices.Concat(s.prefix, test, strings.Fields(run))
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = s.dir
	cmd.WaitDelay = 5 * time.Second
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
	r.run = run
	r.output += stderr.String()
	if err != nil && r.outcome == survived {
		return result{}, fmt.Errorf("go test %s: %w\n%s", run, err, r.output)
	}
	return r, nil
}

// event is a line of go test -json.
type event struct {
	Action, Test, Output, FailedBuild string
}

func readEvents(out []byte) result {
	var r result
	said := make(map[string]string) // by test; "" is the package
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		said[e.Test] += e.Output
		if strings.Contains(e.Output, "no tests to run") { // go test's own words
			r.empty = true
		}
		switch {
		case e.FailedBuild != "":
			r.outcome = broken
		case e.Action == "fail" && r.outcome == survived:
			r.outcome = caught
		}
		if strings.HasPrefix(e.Output, "panic: test timed out") {
			r.outcome = timedOut
		}
		if strings.Contains(e.Output, "octotest: octostore does not build") { // it is built by the tests
			r.outcome = broken
		}
		// A test whose binary crashes does not get to say that it failed.
		if e.Test != "" && (e.Action == "fail" || strings.HasPrefix(e.Output, "panic: ")) {
			r.tests = append(r.tests, e.Test)
		}
	}
	for _, test := range append(r.tests, "") {
		r.output += said[test]
	}
	r.tests = leaves(r.tests)
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
