package exitcode_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
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
	want := []exitcode.Code{0, 1, 64, 65, 66, 69, 77}
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
