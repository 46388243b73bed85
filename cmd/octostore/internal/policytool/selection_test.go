package policytool

import (
	"regexp"
	"strings"
	"testing"
)

func TestSelectionIsByTheNamesOfCases(t *testing.T) {
	all := []Fixture{
		{Path: "a.json", Cases: []Expectation{{Name: "with a ticket"}, {Name: "without"}}},
		{Path: "dir/refuses.json", LoadError: "no"},
	}
	for pattern, want := range map[string]string{
		"ticket": "a.json with a ticket", "^with": "a.json with a ticket, without", "refuses": "dir/refuses.json", "^without$": "a.json without",
		"": "a.json with a ticket, without; dir/refuses.json", "json": "", "Ticket": "",
	} {
		selected, err := Select(all, regexp.MustCompile(pattern))
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", pattern, err)
		}
		var got []string
		for _, f := range selected {
			var names []string
			for _, e := range f.Cases {
				names = append(names, e.Name)
			}
			got = append(got, strings.TrimSpace(f.Path+" "+strings.Join(names, ", ")))
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%q: got %q, want %q", pattern, got, want)
		}
	}
	if len(all[0].Cases) != 2 || all[0].Cases[1].Name != "without" {
		t.Error("what was given has changed")
	}
}
