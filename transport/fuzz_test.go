package transport

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// FuzzList: whatever prefix, cursor and limit a listing is asked with, it is refused
// as bad input, or shows what they select, in order.
func FuzzList(f *testing.F) {
	f.Add("", "", "")
	f.Add("a/", "a/b", "1")
	f.Add("a/b", "a", "1000")
	f.Add("a//", "/", "0")
	f.Add("\xff", "é", "-1")
	f.Add("a/..", "acquire", "99999999999999999999")
	f.Add("@a:", "+a", "3")
	f.Add("~", "a/acquire", "")
	f.Add("a b", "a+", "")
	names := []lock.Name{"+a", "@a:1/b", "A", "a", "a+b", "a.b/c", "a/acquire", "a/b", "a/b/c", "a/bc", "ab", "b", "b/a", "~a"}
	s := newServer(f, setup{})
	for _, name := range names {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, newRequest("POST /v1/locks/"+string(name)+"/acquire?ttl=1h", nil).http())
		if w.Code != http.StatusOK {
			f.Fatalf("acquire %s: %d %s", name, w.Code, w.Body)
		}
	}
	f.Fuzz(func(t *testing.T, prefix, after, limit string) {
		query := url.Values{"prefix": {prefix}, "after": {after}}
		most := 100
		if limit != "" {
			query.Set("limit", limit)
			most, _ = strconv.Atoi(limit) // what is no number is refused below
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, newRequest("GET /v1/locks?"+query.Encode(), nil).http())
		if w.Code == http.StatusBadRequest {
			var problem api.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || problem.Code != api.CodeInvalid {
				t.Errorf("%s: %s, %v", query.Encode(), w.Body, err)
			}
			return
		}
		var page api.List
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s, %v", query.Encode(), w.Code, w.Body, err)
		}
		var got, want []string
		for _, l := range page.Locks {
			got = append(got, l.Name)
		}
		for _, name := range names {
			if n := string(name); strings.HasPrefix(n, prefix) && n > after && len(want) < most {
				want = append(want, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query.Encode(), got, want)
		}
	})
}
