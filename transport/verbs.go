package transport

import (
	"net/http"
	"strings"

	"github.com/octostore/octostore/core/lock"
)

// verbHint is for a POST to a path after /v1/locks/ that ends in no verb: it lists the
// verbs, and names the one the last segment may be a misspelling of.
func (a *API) verbHint(path string) string {
	const mistakes = 2
	last := strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])
	var verbs []string
	best, least := "", mistakes+1
	for i := range a.routes {
		rt := &a.routes[i]
		if rt.method != http.MethodPost || !strings.HasPrefix(rt.pattern, lockWhole) {
			continue
		}
		verbs = append(verbs, rt.verb())
		if n := distance(last, rt.verb()[1:], least); n < least {
			best, least = rt.verb(), n
		}
	}
	end := len(verbs) - 1
	hint := "to do something to a lock, end the path in " + strings.Join(verbs[:end], ", ") + " or " + verbs[end]
	if best != "" {
		hint += "; did you mean " + best + "?"
	}
	return hint
}

// postHint is for a GET of a path after /v1/locks/ that ends in a verb: how to do that, and
// how to read the lock, if there is one, whose name ends so.
func postHint(path string) string {
	verb := path[strings.LastIndexByte(path, '/')+1:]
	hint := verb + " is a POST: curl needs -X POST"
	if _, err := lock.ParseName(path); err == nil {
		hint += "; the lock whose name is " + path + " is read with GET /v1/locks?name=" + strings.ReplaceAll(path, "+", "%2B")
	}
	return hint
}

// distance returns how many letters have to be put in, left out or changed to make b
// of a, or enough if it is at least that many.
func distance(a, b string, enough int) int {
	if len(a)-len(b) >= enough || len(b)-len(a) >= enough {
		return enough
	}
	row := make([]int, len(b)+1) // from the first i letters of a to the first j of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return min(row[len(b)], enough)
}
