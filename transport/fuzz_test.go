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

// FuzzBody: a body is read as its kind says, or refused with the field that is wrong,
// and never half read.
func FuzzBody(f *testing.F) {
	f.Add("application/json", `{"ttl": "90s", "holder": "h", "metadata": {"k": "v"}}`)
	f.Add("application/json", `{"ttl": 1e400}{}`)
	f.Add("text/plain", `{"a": [[[[[[[[[[{}]]]]]]]]]]}`)
	f.Add("application/x-www-form-urlencoded", "ttl=90s&holder=h%C3%A9&meta.k=v\r\n")
	f.Add("application/x-www-form-urlencoded", "a=%c3%28&=&%")
	f.Add("multipart/form-data; boundary=x", "--x--")
	known := setOf(fieldTTL, fieldWait, fieldHolder, fieldReason, fieldMetadata)
	f.Fuzz(func(t *testing.T, kind, content string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header["Content-Type"] = []string{kind}
		p := params{known: known}
		if err := p.parseBody(r, []byte(content)); err != nil {
			wantInputError(t, err)
			return
		}
		trimmed := strings.TrimSpace(content)
		if strings.HasPrefix(trimmed, "{") {
			checkJSON(t, &p, content)
			return
		}
		values, err := url.ParseQuery(trimmed)
		if err != nil {
			t.Fatalf("%q was read, but net/url says %v", content, err)
		}
		for name, v := range values {
			if got, ok := p.get(name); !ok || len(v) != 1 || got != v[0] {
				t.Fatalf("%q: %s is %q, want %q", content, name, got, v)
			}
		}
	})
}

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

// FuzzPrefer: a preference is a whole number of seconds, or counts as none.
func FuzzPrefer(f *testing.F) {
	for _, s := range []string{"wait=30", "respond-async, wait=10; x=y", `wait="5"`, "wait=-1", "WAIT = 4294967295", "wait=4294967296", "wait"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d := preferredWait([]string{s}); d < 0 || d > 0 && !strings.Contains(strings.ToLower(s), "wait") {
			t.Errorf("%q is %s", s, d)
		}
	})
}
