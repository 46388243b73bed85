package rules_test

import (
	"os/exec"
	"strings"
	"testing"
)

// compared is what benchstat -format csv says about a machine that is a tenth slower today, and
// whose disk is much slower.
const compared = `pkg: github.com/octostore/octostore/core/table
,recorded,,now,,,
,sec/op,CI,sec/op,CI,vs base,P
AcquireRelease-2,1.0e-06,1%,1.1e-06,1%,+10.00%,p=0.002 n=6
Renew-2,1.0e-06,1%,1.6e-06,2%,+60.00%,p=0.002 n=6
LeaseID-2,1.0e-06,1%,1.9e-06,80%,~,p=0.200 n=6
Commit-2,1.0e-03,9%,9.0e-03,9%,+800.00%,p=0.002 n=6
Get-2,1.0e-06,1%,1.05e-06,1%,+5.00%,p=0.002 n=6
geomean,1e-06,,1.3e-06,,+30.00%,

,recorded,,now,,,
,B/op,CI,B/op,CI,vs base,P
AcquireRelease-2,1000,0%,1030,0%,+3.00%,p=0.002 n=6
Renew-2,1000,0%,1010,0%,+1.00%,p=0.002 n=6
Get-2,0,0%,64,0%,?,p=0.002 n=6

,recorded,,now,,,
,cpu-sec/op,CI,cpu-sec/op,CI,vs base,P
Commit-2,1.0e-05,1%,1.1e-05,1%,+10.00%,p=0.002 n=6

,recorded,,now,,,
,%seal,CI,%seal,CI,vs base,P
Seal-2,1,1%,9,1%,+800.00%,p=0.002 n=6
`

func TestBenchNamesWhatGotSlower(t *testing.T) {
	for name, tt := range map[string]struct{ compared, want string }{
		"some": {compared, `the middle benchmark takes 1.10 times as long as recorded
slower: core/table Renew-2: 1.60 times as long
more memory: core/table AcquireRelease-2: 1.03 times as much (B/op)
more memory: core/table Get-2: 64 instead of none (B/op)
`},
		"none":     {strings.Join(strings.SplitAfter(compared, "\n")[:4], ""), "the middle benchmark takes 1.10 times as long as recorded\nnothing got slower\n"},
		"no other": {"", "no benchmark of this run is recorded\n"},
	} {
		t.Run(name, func(t *testing.T) {
			awk := exec.Command("awk", "-f", root+"/.ci/slower")
			awk.Stdin = strings.NewReader(tt.compared)
			if got, err := awk.CombinedOutput(); err != nil || string(got) != tt.want {
				t.Errorf("got %s, error %v; want %s", got, err, tt.want)
			}
		})
	}
}
