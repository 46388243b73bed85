package transport

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// The table of requests in the README has every route, and no other.
func TestReadmeListsEveryRoute(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range regexp.MustCompile("`((?:GET|POST|DELETE) /[^`]*)`").FindAllStringSubmatch(string(readme), -1) {
		listed = append(listed, m[1])
	}
	var routes []string
	for _, rt := range routeTable() {
		routes = append(routes, rt.method+" "+rt.pattern)
	}
	for _, route := range routes {
		if !slices.Contains(listed, route) {
			t.Errorf("%s is not in the README", route)
		}
	}
	for _, route := range listed {
		if !slices.Contains(routes, route) {
			t.Errorf("%s is in the README and no route", route)
		}
	}
}
