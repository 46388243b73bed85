package problem

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

// The table of answers in the README has every code with its status, and no other.
func TestReadmeListsEveryCode(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("([0-9]{3})((?: `[a-z_]+`)+)").FindAllStringSubmatch(string(readme), -1) {
		for _, code := range regexp.MustCompile("[a-z_]+").FindAllString(m[2], -1) {
			listed[m[1]+" "+code] = true
		}
	}
	answers := map[string]bool{}
	for _, r := range append(slices.Clone(table), unknown) {
		if r.code != CodeGone { // is never sent
			answers[fmt.Sprintf("%d %s", r.status, r.code)] = true
		}
	}
	if !maps.Equal(listed, answers) {
		t.Errorf("the README has\n%q, but the answers are\n%q", slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(answers)))
	}
}
