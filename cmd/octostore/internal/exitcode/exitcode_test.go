package exitcode_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/transport/api"
)

func TestCodesOfErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want exitcode.Code
	}{
		{nil, exitcode.OK},
		{errors.New("x"), exitcode.Failed},
		{exitcode.Usagef("%d", 1), exitcode.Usage},
		{fmt.Errorf("in %w", exitcode.Usagef("x")), exitcode.Usage},
		{fmt.Errorf("open: %w", fs.ErrNotExist), exitcode.Missing},
		{exitcode.As(exitcode.Tampered, fs.ErrNotExist), exitcode.Tampered},
		{exitcode.As(exitcode.Tampered, nil), exitcode.OK},
	} {
		if got := exitcode.Of(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

// The numbers are what scripts and later commands rely on.
func TestCodesAreOneTable(t *testing.T) {
	want := []exitcode.Code{0, 1, 64, 65, 66, 69, 75, 77, 79, 126, 127}
	var got []exitcode.Code
	names := map[string]bool{}
	for _, r := range exitcode.Table() {
		got = append(got, r.Code)
		if names[r.Name] || r.Name == "" || r.Meaning == "" {
			t.Errorf("%+v", r)
		}
		names[r.Name] = true
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Every code of the wire has an exit code that a script can act on.
func TestCodesOfAnswers(t *testing.T) {
	got := map[api.Code]exitcode.Code{}
	for want, answers := range map[exitcode.Code]map[api.Code]int{
		exitcode.Usage: {api.CodeInvalid: 400, api.CodeTooLarge: 413, api.CodeKeyMismatch: 422},
		exitcode.Held: {
			api.CodeHeld: 409, api.CodeSuperseded: 409, api.CodeQueueFull: 429, api.CodeTooManyReaders: 429,
			api.CodeQuota: 429, api.CodeRateLimited: 429,
		},
		exitcode.Denied: {api.CodeUnauthenticated: 401, api.CodeForbidden: 403, api.CodePolicyDenied: 403, api.CodeLoginRefused: 403},
		exitcode.Lost:   {api.CodeNotHeld: 409, api.CodeAttemptOver: 409},
		exitcode.Failed: {api.CodeNotFound: 404, api.CodeMethodNotAllowed: 405, api.CodeLoginExpired: 410, api.CodeCursorExpired: 410},
		exitcode.Unavailable: {
			api.CodeInternal: 500, api.CodePolicyError: 503, api.CodeLoginUnavailable: 503, api.CodeDraining: 503,
			api.CodeMoved: 503, api.CodeTooLate: 503, api.CodeOutcomeUnknown: 503, api.CodeStorageFull: 507,
		},
	} {
		for code, status := range answers {
			if got[code] = exitcode.OfAnswer(status, code); got[code] != want {
				t.Errorf("%s: %d, want %d", code, got[code], want)
			}
		}
	}
	for _, code := range api.Codes() {
		if _, is := got[code]; !is {
			t.Errorf("%s has no exit code in this test", code)
		}
	}
	for status, want := range map[int]exitcode.Code{502: exitcode.Unavailable, 403: exitcode.Denied, 301: exitcode.Failed, 431: exitcode.Usage} {
		if got := exitcode.OfAnswer(status, ""); got != want {
			t.Errorf("a proxy's %d: %d, want %d", status, got, want)
		}
	}
}
