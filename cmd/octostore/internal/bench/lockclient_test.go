package bench

import (
	"strings"
	"testing"
)

func TestLedgerSeesBrokenPromises(t *testing.T) {
	grant := func(token uint64) func(*ledger) error {
		return func(l *ledger) error { return l.granted(token) }
	}
	end := func(l *ledger) error { l.releasing(); return nil }
	tests := []struct {
		name   string
		events []func(*ledger) error
		says   string // of the last; empty: nothing is wrong
	}{
		{"grants one after the other", []func(*ledger) error{grant(1), end, grant(5), end, grant(6)}, ""},
		{"two holders", []func(*ledger) error{grant(1), grant(2)}, "token 2 while another client held it"},
		{"the same token again", []func(*ledger) error{grant(1), end, grant(1)}, "token 1 was granted after 1"},
		{"a smaller token", []func(*ledger) error{grant(7), end, grant(6)}, "token 6 was granted after 7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var l ledger
			var err error
			for _, event := range tt.events {
				if err != nil {
					t.Fatalf("before its time: %v", err)
				}
				err = event(&l)
			}
			if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got error %v, want one that says %q", err, tt.says)
			}
		})
	}
}
