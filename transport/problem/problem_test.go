package problem

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/login"
)

// every is one error of each kind that may end a request, by its name in the
// sources.
var every = map[string]error{
	"core.ErrForbidden":         core.ErrForbidden,
	"core.ErrChangedHands":      core.ErrChangedHands,
	"core.ForbiddenError":       &core.ForbiddenError{What: "list locks", Needs: "read:**"},
	"core.DeniedError":          &core.DeniedError{Policy: "p", Reason: "r"},
	"core.PolicyError":          &core.PolicyError{Policy: "p", Err: errors.New("trap")},
	"lock.ErrNotHeld":           lock.ErrNotHeld,
	"lock.ErrTokenChanged":      lock.ErrTokenChanged,
	"lock.ErrFree":              lock.ErrFree,
	"lock.ErrSuperseded":        lock.ErrSuperseded,
	"lock.SupersededError":      &lock.SupersededError{},
	"lock.ErrAttemptOver":       lock.ErrAttemptOver,
	"lock.ErrKeyMismatch":       lock.ErrKeyMismatch,
	"lock.ErrQueueFull":         lock.ErrQueueFull,
	"lock.ErrQuota":             lock.ErrQuota,
	"lock.ErrDraining":          lock.ErrDraining,
	"lock.ErrTooLate":           lock.ErrTooLate,
	"lock.ErrOutcomeUnknown":    lock.ErrOutcomeUnknown,
	"lock.ErrFull":              lock.ErrFull,
	"lock.ErrDeposed":           lock.ErrDeposed,
	"lock.ErrClosed":            lock.ErrClosed,
	"lock.ErrGone":              lock.ErrGone,
	"input.Error":               &input.Error{Field: "f", Problem: "p", Want: "w"},
	"lock.HeldError":            &lock.HeldError{},
	"journal.ErrClosed":         journal.ErrClosed,
	"journal.PrunedError":       &journal.PrunedError{Oldest: 7},
	"problem.ErrNotFound":       ErrNotFound,
	"problem.ErrNoBackups":      ErrNoBackups,
	"problem.ErrTooLarge":       ErrTooLarge,
	"problem.ErrCrossOrigin":    ErrCrossOrigin,
	"problem.ErrForeignHost":    ErrForeignHost,
	"problem.ErrTooManyReaders": ErrTooManyReaders,
	"problem.ErrBackingUp":      ErrBackingUp,
	"problem.ErrJustGranted":    ErrJustGranted,
	"problem.MethodError":       &MethodError{Method: "PUT", Allow: "GET"},
	"lock.ErrWaitsEnough":       lock.ErrWaitsEnough,
	"problem.LimitError":        &LimitError{Why: "w", RetryAfter: time.Second},
	"auth.ErrNoToken":           auth.ErrNoToken,
	"auth.ErrBadToken":          auth.ErrBadToken,
	"auth.ErrExpired":           auth.ErrExpired,
	"auth.ErrRevoked":           auth.ErrRevoked,
	"auth.ErrUnknownID":         auth.ErrUnknownID,
	"login.ErrOff":              login.ErrOff,
	"login.ErrUnavailable":      login.ErrUnavailable,
	"login.ErrBusy":             login.ErrBusy,
	"login.ErrNotBegun":         login.ErrNotBegun,
	"login.ErrDenied":           login.ErrDenied,
	"login.ErrNotAllowed":       login.ErrNotAllowed,
	"login.ErrOver":             login.ErrOver,
}

// An exported error without a row would be a 500 that says nothing.
func TestErrorsHaveARow(t *testing.T) {
	names := exportedErrors(t, map[string]string{
		"core": "../../core", "lock": "../../core/lock", "auth": "../../core/auth", "journal": "../../core/journal", "input": "../../core/input", "problem": ".", "login": "../login",
	})
	if !slices.Contains(names, "lock.ErrNotHeld") || !slices.Contains(names, "lock.HeldError") {
		t.Fatalf("the sources were not understood: %v", names)
	}
	for _, name := range names {
		err, known := every[name]
		switch {
		case !known:
			t.Errorf("%s is exported; give it a row, and an example here", name)
		case !Of(err, time.Now()).Known:
			t.Errorf("%s has no row", name)
		}
	}
	for name := range every {
		if !slices.Contains(names, name) {
			t.Errorf("%s does not exist any more", name)
		}
	}
}

// exportedErrors returns the exported variables Err… and types …Error of packages,
// by the name of the package and their own.
func exportedErrors(t *testing.T, packages map[string]string) (names []string) {
	for pkg, dir := range packages {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no sources of %s: %v", pkg, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range f.Decls {
				names = append(names, errorsOf(pkg, decl)...)
			}
		}
	}
	return names
}

func errorsOf(pkg string, decl ast.Decl) (names []string) {
	gen, ok := decl.(*ast.GenDecl)
	if !ok {
		return nil
	}
	for _, spec := range gen.Specs {
		switch s := spec.(type) {
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if gen.Tok == token.VAR && strings.HasPrefix(name.Name, "Err") {
					names = append(names, pkg+"."+name.Name)
				}
			}
		case *ast.TypeSpec:
			if s.Name.IsExported() && strings.HasSuffix(s.Name.Name, "Error") {
				names = append(names, pkg+"."+s.Name.Name)
			}
		}
	}
	return names
}

func TestProblemStatusAndCode(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		code   api.Code
		retry  time.Duration
	}{
		{every["input.Error"], 400, api.CodeInvalid, 0},
		{core.ErrForbidden, 403, api.CodeForbidden, 0},
		{every["core.ForbiddenError"], 403, api.CodeForbidden, 0},
		{ErrCrossOrigin, 403, api.CodeForbidden, 0},
		{ErrForeignHost, 403, api.CodeForbidden, 0},
		{every["core.DeniedError"], 403, api.CodePolicyDenied, 0},
		{login.ErrNotAllowed, 403, api.CodeLoginRefused, 0},
		{login.ErrDenied, 403, api.CodeLoginRefused, 0},
		{login.ErrNotBegun, 403, api.CodeLoginRefused, 0},
		{login.ErrOff, 404, api.CodeNotFound, 0},
		{login.ErrOver, 410, api.CodeLoginExpired, 0},
		{login.ErrUnavailable, 503, api.CodeLoginUnavailable, loginRetry},
		{login.ErrBusy, 503, api.CodeLoginUnavailable, loginRetry},
		{ErrNotFound, 404, api.CodeNotFound, 0},
		{ErrNoBackups, 404, api.CodeNotFound, 0},
		{every["problem.MethodError"], 405, api.CodeMethodNotAllowed, 0},
		{every["lock.HeldError"], 409, api.CodeHeld, 0},
		{lock.ErrNotHeld, 409, api.CodeNotHeld, 0},
		{lock.ErrTokenChanged, 409, api.CodeNotHeld, 0},
		{lock.ErrFree, 409, api.CodeNotHeld, 0},
		{lock.ErrSuperseded, 409, api.CodeSuperseded, 0},
		{&lock.SupersededError{}, 409, api.CodeSuperseded, 0},
		{lock.ErrAttemptOver, 409, api.CodeAttemptOver, 0},
		{ErrTooLarge, 413, api.CodeTooLarge, 0},
		{lock.ErrKeyMismatch, 422, api.CodeKeyMismatch, 0},
		{lock.ErrQueueFull, 429, api.CodeQueueFull, time.Second},
		{lock.ErrQuota, 429, api.CodeQuota, time.Second},
		{lock.ErrGone, 499, CodeGone, 0},
		{context.Canceled, 499, CodeGone, 0},
		{errors.New("what is this?"), 500, api.CodeInternal, 0},
		{every["core.PolicyError"], 503, api.CodePolicyError, time.Second},
		{lock.ErrDraining, 503, api.CodeDraining, time.Second},
		{lock.ErrClosed, 503, api.CodeDraining, time.Second},
		{journal.ErrClosed, 503, api.CodeDraining, time.Second},
		{lock.ErrDeposed, 503, api.CodeMoved, time.Second},
		{lock.ErrTooLate, 503, api.CodeTooLate, time.Second},
		{lock.ErrOutcomeUnknown, 503, api.CodeOutcomeUnknown, time.Second},
		{lock.ErrFull, 507, api.CodeStorageFull, 0},
	} {
		for _, err := range []error{test.err, fmt.Errorf("canary: %w", test.err)} {
			a := Of(err, time.Now())
			if a.Status != test.status || a.Code != test.code || a.RetryAfter != test.retry {
				t.Errorf("%v is %d %s, retry after %s; want %d %s, %s", err, a.Status, a.Code, a.RetryAfter, test.status, test.code, test.retry)
			}
			if a.Type != "urn:octostore:problem:"+string(test.code) || a.Title == "" || a.Detail == "" {
				t.Errorf("%v: %+v", err, a.Problem)
			}
			if strings.Contains(fmt.Sprintf("%+v", a), "canary") {
				t.Errorf("%v: what it was wrapped in is shown", err)
			}
		}
	}
}

// Clients and proxies repeat a 408 or 504 by themselves, and a lock granted to a repeat that no
// client waits for is not released.
func TestStatusesMakeNoProxyRepeat(t *testing.T) {
	for _, r := range table {
		if r.status == http.StatusRequestTimeout || r.status == http.StatusGatewayTimeout {
			t.Errorf("%s is answered with %d", r.code, r.status)
		}
	}
}

func TestCodesHaveOneStatus(t *testing.T) {
	status := map[api.Code]int{}
	for _, r := range append(slices.Clone(table), unknown) {
		if was, ok := status[r.code]; ok && was != r.status {
			t.Errorf("%s is %d and %d", r.code, was, r.status)
		}
		status[r.code] = r.status
	}
	for _, code := range Codes() {
		if status[code] == 0 {
			t.Errorf("no error is answered with %s", code)
		}
	}
}

// An outcome that is unknown and something that says that nothing was done: the
// first is what can be promised.
func TestProblemOfAnUnknownOutcome(t *testing.T) {
	for _, other := range []error{lock.ErrFull, lock.ErrDeposed, lock.ErrClosed, lock.ErrDraining} {
		for _, err := range []error{errors.Join(lock.ErrOutcomeUnknown, other), errors.Join(other, lock.ErrOutcomeUnknown)} {
			if a := Of(err, time.Now()); a.Code != api.CodeOutcomeUnknown {
				t.Errorf("%v is %s", err, a.Code)
			}
		}
	}
}

func TestProblemRetryHintOfAHeldLock(t *testing.T) {
	now := time.Now()
	left := func(d time.Duration) *lock.Lease { return &lock.Lease{ExpiresAt: now.Add(d)} }
	for _, test := range []struct {
		name string
		err  lock.HeldError
		want int64
	}{
		{"no waiters", lock.HeldError{Lease: left(time.Minute)}, 1000},
		{"a second for each who waits", lock.HeldError{Lease: left(time.Minute), Waiters: 4}, 5000},
		{"not longer than the lease lasts", lock.HeldError{Lease: left(1500 * time.Millisecond), Waiters: 4}, 1500},
		{"not in a tight loop", lock.HeldError{Lease: left(-time.Second)}, 50},
		{"promised to a waiter", lock.HeldError{Waiters: 1}, 2000},
	} {
		if got := Of(&test.err, now).RetryAfterMS; got != test.want {
			t.Errorf("%s: %d ms, want %d", test.name, got, test.want)
		}
	}
}

func TestProblemOfAHeldLock(t *testing.T) {
	at := time.Date(2026, 1, 2, 15, 4, 5, 678_901_234, time.FixedZone("", 3600))
	a := Of(&lock.HeldError{
		Lease: &lock.Lease{
			Name: "a", Token: 7, Account: "local", Holder: "h", Reason: "r", Metadata: map[string]string{"k": "v"},
			TTL: time.Minute, GrantedAt: at, ExpiresAt: at.Add(time.Minute),
		},
		Position: 2, Waiters: 3, Waited: 1500 * time.Millisecond,
	}, at.Add(time.Second))
	cut := time.Date(2026, 1, 2, 14, 4, 5, 678_000_000, time.UTC)
	want := &api.HeldProblem{
		Lease: &api.Lease{
			FencingToken: 7, Account: "local", Holder: "h", Reason: "r", Metadata: map[string]string{"k": "v"},
			TTLMS: 60_000, ExpiresInMS: 59_000, GrantedAt: cut, ExpiresAt: cut.Add(time.Minute),
		},
		Position: 2, Waiters: 3, WaitedMS: 1500,
	}
	if !reflect.DeepEqual(a.HeldProblem, want) {
		t.Errorf("got %+v, %+v", a.HeldProblem, a.HeldProblem.Lease)
	}
}
