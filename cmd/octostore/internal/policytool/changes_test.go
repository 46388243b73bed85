package policytool

import (
	"fmt"
	"strings"
	"testing"
)

func TestReplayConditions(t *testing.T) {
	report := ReplayReport{Decisions: 20, Changes: []Change{
		{Recorded: "allow", Now: "allow", Count: 9}, {Recorded: "allow", Now: "deny", Count: 4},
		{Recorded: "allow", Now: "error", Count: 1}, {Recorded: "deny", Now: "allow", Count: 6},
	}}
	for _, tt := range []struct {
		conditions string
		want       string // what is broken
	}{
		{"allow->deny", "allow->deny: 4 of 20 decisions"},
		{"allow→deny", "allow→deny: 4 of 20 decisions"},
		{"allow -> deny > 3", "allow -> deny > 3: 4 of 20 decisions"},
		{"allow->deny>4", ""},
		{"allow->*", "allow->*: 5 of 20 decisions"},
		{"*->error", "*->error: 1 of 20 decisions"},
		{"*->*", "*->*: 11 of 20 decisions"},
		{"*->*>11", ""},
		{"allow->allow", "allow->allow: 9 of 20 decisions"},
		{"deny->deny", ""},
		{"deny->error,deny->allow", "deny->allow: 6 of 20 decisions"},
	} {
		var all []Condition
		for text := range strings.SplitSeq(tt.conditions, ",") {
			c, err := ParseCondition(text)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		if got := strings.Join(report.Broken(all), "; "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.conditions, got, tt.want)
		}
	}
	for _, wrong := range []string{"", "allow", "allow->", "->deny", "allow->no", "allow->deny>", "allow->deny>-1", "allow->deny>x"} {
		if c, err := ParseCondition(wrong); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q is not a change", wrong)) {
			t.Errorf("%q: got %+v, %v", wrong, c, err)
		}
	}
}
