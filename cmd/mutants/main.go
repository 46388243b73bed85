// Command mutants tests the tests: it breaks OctoStore in known ways, one at a
// time, in a copy of the tree, and runs the tests that ought to notice.
//
//	go run ./cmd/mutants                 all of them; exit 1 if one survives
//	go run ./cmd/mutants -list           list the sabotages
//	go run ./cmd/mutants -fit            whether each still fits the code; takes a second
//	go run ./cmd/mutants -only NAME,…    some of them
//	go run ./cmd/mutants -markdown       also write the table into docs/guarantees.md
//
// A mutant is a small edit of one file, named by the text it replaces. If that text
// is not found exactly once the run fails, so the table cannot fall behind the code.
// Before any mutant the tests run on the unchanged copy: a suite that fails anyway
// catches nothing. And every test the document names has to exist.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	list := flag.Bool("list", false, "print the mutants and what they break, and run nothing")
	fit := flag.Bool("fit", false, "check that the text of each mutant and each test that "+document+" names is there, and run nothing")
	only := flag.String("only", "", "names of the mutants to run, separated by commas")
	markdown := flag.Bool("markdown", false, "write the table into "+document)
	limit := flag.Duration("timeout", 3*time.Minute, "time limit for the tests of one package; a mutant that hangs is caught by it")
	with := flag.String("exec", "", "run every go test under this command, such as nice")
	flag.Parse()
	chosen, err := choose(mutants(), *only)
	if err != nil {
		return err
	}
	if *markdown && *only != "" {
		return errors.New("the table is about all mutants: use -markdown without -only")
	}
	if *list {
		printList(chosen)
		return nil
	}
	tree, err := readTree()
	if err != nil {
		return err
	}
	if err := errors.Join(fitting(tree, chosen), tree.namedTests()); err != nil {
		return err
	}
	if *fit {
		return nil
	}
	s := suite{prefix: strings.Fields(*with), limit: *limit}
	results, err := s.try(ctx, tree, chosen)
	if err != nil {
		return err
	}
	if *markdown {
		if err := writeDocument(results); err != nil {
			return err
		}
	}
	return verdict(results)
}

// choose returns the mutants named, or all.
func choose(all []mutant, only string) ([]mutant, error) {
	if only == "" {
		return all, nil
	}
	var chosen []mutant
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(m mutant) bool { return m.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no mutant %q; -list prints what there is", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// try tests each mutant in a fresh copy of the tree.
func (s suite) try(ctx context.Context, t tree, chosen []mutant) (results []result, err error) {
	if s.dir, err = os.MkdirTemp("", "mutants-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(s.dir)
	if err := s.baseline(ctx, t, chosen); err != nil {
		return nil, err
	}
	for _, m := range chosen {
		r, err := s.test(ctx, t, m)
		if err != nil {
			return nil, err
		}
		printResult(r)
		results = append(results, r)
	}
	return results, nil
}

// fitting reports every mutant whose text is not found exactly once, and every name
// used twice.
func fitting(t tree, chosen []mutant) error {
	var errs []error
	seen := make(map[string]bool)
	for _, m := range chosen {
		if seen[m.name] {
			errs = append(errs, fmt.Errorf("two mutants are called %s", m.name))
		}
		seen[m.name] = true
		_, err := t.mutated(m)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// verdict is an error unless all mutants were caught.
func verdict(results []result) error {
	var missed []string
	for _, r := range results {
		if r.outcome == survived || r.outcome == broken {
			missed = append(missed, r.mutant.name+" "+r.outcome.String())
		}
	}
	fmt.Printf("%d of %d caught\n", len(results)-len(missed), len(results))
	if missed == nil {
		return nil
	}
	return errors.New(strings.Join(missed, ", "))
}
