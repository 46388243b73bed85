package transport

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// wideNames are of everything a name may have, and of the words that once were reserved.
var wideNames = []string{
	"release", "acquire", "refs/heads/release", "orders/queue", "break/renew", "renew/renew", "prod/history",
	"@types/node", "Router-A:57400", "release/1.0+build5", "~user/job", "registry.example.com:5000/team/app:1.2.3",
	"arn:aws:s3:::my-bucket/terraform.tfstate", "+", ":", "a+/+b", "..hidden", "...",
	long(lock.MaxSegment) + "/" + long(lock.MaxSegment) + "/" + long(lock.MaxName-2*(lock.MaxSegment+1)),
}

// A name means the same lock wherever it is written: in a path, as it is or encoded, in a
// query, in a listing, in the journal.
func TestNameIsTheSameEverywhere(t *testing.T) {
	s := newServer(t, setup{})
	for _, name := range wideNames {
		t.Run(name[:min(len(name), 40)], func(t *testing.T) {
			g := s.do(t, "POST /v1/locks/"+name+"/acquire?ttl=1h").grant()
			if g.Name != name {
				t.Errorf("it is called %q", g.Name)
			}
			s.do(t, "POST /v1/locks/"+encodeAll(name)+"/acquire").want(409, api.CodeHeld)
			s.do(t, "POST /v1/locks/"+url.PathEscape(name)+"/renew", header("Octostore-Lease", g.LeaseID)).want(200)
			one := decode[api.List](s.do(t, "GET /v1/locks?name="+url.QueryEscape(name)).want(200))
			if len(one.Locks) != 1 || one.Locks[0].Name != name || one.Locks[0].Lease.FencingToken != g.FencingToken {
				t.Errorf("by its name: %+v", one)
			}
			listed := decode[api.List](s.do(t, "GET /v1/locks?prefix="+url.QueryEscape(name)).want(200))
			if len(listed.Locks) != 1 || listed.Locks[0].Name != name {
				t.Errorf("by its prefix: %+v", listed)
			}
			s.do(t, "GET /v1/locks?after="+url.QueryEscape(name)).want(200)
			_, records, _ := s.do(t, "GET /v1/audit?kind=granted&prefix="+url.QueryEscape(name)).lines()
			if len(records) != 1 || string(records[0].Name) != name {
				t.Errorf("in the journal: %+v", records)
			}
			path := "/v1/locks/" + name
			if verb := name[strings.LastIndexByte(name, '/')+1:]; s.byVerb[verb] != nil {
				s.do(t, "GET "+path).want(405, api.CodeMethodNotAllowed)
			} else if got := s.do(t, "GET "+path).lock(); got.Name != name || got.State != api.Held {
				t.Errorf("by its path: %+v", got)
			}
			s.do(t, "POST "+path+"/release", header("Octostore-Lease", g.LeaseID)).want(200)
			s.do(t, "POST "+path+"/acquire").want(200)
			s.do(t, "POST "+path+"/break?reason=why").want(200)
		})
	}
}

// encodeAll writes every byte as % and two digits.
func encodeAll(name string) string {
	var b strings.Builder
	for i := range len(name) {
		fmt.Fprintf(&b, "%%%02X", name[i])
	}
	return b.String()
}

// The names that people use elsewhere are accepted, or refused with what is wrong.
func TestNameAsTheyAreInUse(t *testing.T) {
	text, err := os.ReadFile("../core/lock/testdata/real_names.tsv")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, setup{})
	accepted := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		name, problem := cells[1], cells[2]
		acquire := "POST /v1/locks/" + url.PathEscape(name) + "/acquire?ttl=1s"
		if problem == "ok" {
			s.do(t, acquire)
			s.do(t, "GET /v1/locks?name="+url.QueryEscape(name)).want(200)
			accepted++
			continue
		}
		if p := s.do(t, acquire, onPurpose).wantInvalid("name"); !strings.Contains(p.InvalidProblem.Problem, problem) {
			t.Errorf("%s: %s, want %s", name, p.Detail, problem)
		}
	}
	if accepted < 30 {
		t.Errorf("only %d are accepted", accepted)
	}
}

// A curl without -X POST must not look like a lock that was granted, given back or broken,
// whatever the rest of the path is: curl -f would exit 0.
func TestNameThatEndsInAVerbIsNotReadByItsPath(t *testing.T) {
	s := newServer(t, setup{})
	for _, verb := range []string{"acquire", "renew", "release", "break"} {
		s.do(t, "POST /v1/locks/"+verb+"/acquire").want(200)
		for _, method := range []string{"GET", "HEAD"} {
			for _, path := range []string{"a/" + verb, verb, "a%2F" + verb, "a/b+c/" + verb + "?wait=30s", "refs/heads/" + verb + "/" + verb, "a//" + verb, "%20/" + verb, verb[:1] + fmt.Sprintf("%%%02x", verb[1]) + verb[2:]} {
				a := s.do(t, method+" /v1/locks/"+path, onPurpose).want(405)
				if got := a.header.Get("Allow"); got != "POST" {
					t.Errorf("%s %s: Allow is %q", method, path, got)
				}
				if detail := a.problem().Detail; !strings.Contains(detail, verb+" is a POST: curl needs -X POST") {
					t.Errorf("%s %s: %s", method, path, detail)
				}
			}
		}
		// What the answer says is so.
		detail := s.do(t, "GET /v1/locks/a+b/"+verb).want(405).problem().Detail
		_, line, _ := strings.Cut(detail, " is read with ")
		if got := decode[api.List](s.do(t, line).want(200)); len(got.Locks) != 1 || got.Locks[0].Name != "a+b/"+verb || got.Locks[0].State != api.Free {
			t.Errorf("%s: %+v", line, got)
		}
	}
	// Other words end a name like any other.
	for _, word := range []string{"wait", "watch", "queue", "history", "transfer", "extend", "Acquire", "acquire2", "break:1", "@renew"} {
		if got := s.do(t, "GET /v1/locks/a/"+word).lock(); got.Name != "a/"+word {
			t.Errorf("%s: %+v", word, got)
		}
	}
	// A verb without a name is no lock.
	for _, path := range []string{"acquire", "/acquire", "release"} {
		s.do(t, "POST /v1/locks/"+path, onPurpose).wantInvalid("name")
	}
	if got := decode[api.List](s.do(t, "GET /v1/locks").want(200)); len(got.Locks) != 4 {
		t.Errorf("there are %d locks, want 4", len(got.Locks))
	}
}

// In a query a plus is a space, and a name has none: who wrote one meant a plus.
func TestNameWithAPlusInAQuery(t *testing.T) {
	s := newServer(t, setup{})
	s.do(t, "POST /v1/locks/a+b/acquire").want(200)
	for line, field := range map[string]string{
		"GET /v1/locks?name=a+b":            "name",
		"GET /v1/locks?name=a%20b":          "name",
		"GET /v1/locks?prefix=a+":           "prefix",
		"GET /v1/locks?after=a+b":           "after",
		"GET /v1/events?prefix=a+b":         "prefix",
		"GET /v1/audit?prefix=a+b":          "prefix",
		"GET /v1/policies/explain?name=a+b": "name",
	} {
		if p := s.do(t, line, onPurpose).wantInvalid(field); !strings.Contains(p.Detail, "%2B") {
			t.Errorf("%s: %s", line, p.Detail)
		}
	}
	for _, line := range []string{"GET /v1/locks?name=a%2Bb", "GET /v1/locks?prefix=a%2B"} {
		if got := decode[api.List](s.do(t, line).want(200)); len(got.Locks) != 1 || got.Locks[0].Name != "a+b" {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

// Streams and exports select names by their first bytes, and say so in a way that can be
// put into a query again.
func TestNameWithAPlusInStreams(t *testing.T) { byBothDoors(t, testNameWithAPlusInStreams) }

func testNameWithAPlusInStreams(t *testing.T) {
	s := newServer(t, setup{})
	w := watch(t, "http://"+listening(t, s).String()+"/v1/events?prefix=%40a%2Bb%2F")
	if e, ok := w.next(); !ok || e.kind != "" {
		t.Fatalf("it begins with %+v, want its place", e)
	}
	for _, name := range []string{"@a+c/x", "@a+b/release", "@a/b/x", "@a+b/~:1"} {
		s.acquire(t, name)
	}
	w.want("granted", "@a+b/release")
	w.want("granted", "@a+b/~:1")
	w.stop()
	opening, records, _ := s.do(t, "GET /v1/audit?prefix=%40a%2Bb").lines()
	if len(records) != 2 || !strings.Contains(opening, `"filter":"prefix=@a%2Bb"`) {
		t.Errorf("%d records after %s", len(records), opening)
	}
}

func TestNameOfOneLockInAListing(t *testing.T) {
	s := newServer(t, setup{})
	if got := decode[api.List](s.do(t, "GET /v1/locks?name=never/used").want(200)); len(got.Locks) != 1 || got.Locks[0].State != api.Free || got.Next != "" {
		t.Errorf("a lock that was never acquired: %+v", got)
	}
	for line, field := range map[string]string{
		"GET /v1/locks?name=":                       "name",
		"GET /v1/locks?name=a//b":                   "name",
		"GET /v1/locks?name=a&prefix=a":             "name",
		"GET /v1/locks?name=a&account=x":            "name",
		"GET /v1/locks?name=a&limit=1":              "name",
		"GET /v1/locks?name=a&after=a":              "name",
		"GET /v1/locks?waiters=1":                   "waiters",
		"GET /v1/locks?waiters_after=1":             "waiters_after",
		"GET /v1/locks?name=a&waiters=0":            "waiters",
		"GET /v1/locks/a?waiters=1001":              "waiters",
		"GET /v1/locks/a?waiters=x":                 "waiters",
		"GET /v1/locks/a?waiters_after=-1":          "waiters_after",
		"GET /v1/locks/a?waiters_after=99999999999": "waiters_after",
		"GET /v1/locks/a?after=1":                   "after",
	} {
		s.do(t, line, onPurpose).wantInvalid(field)
	}
}

// A request that is as large as it may be in everything is granted, and comes back whole:
// from the lock, from the queue, from the journal.
func TestLargestRequestFitsEverywhere(t *testing.T) {
	s := newServer(t, setup{})
	name := wideNames[len(wideNames)-1]
	holder, reason := strings.Repeat("é", lock.MaxHolder/2), strings.Repeat("é", lock.MaxReason/2)
	var pairs []string
	metadata := map[string]string{}
	for i := range lock.MaxMetadata {
		key := fmt.Sprintf("Key-%02d%s", i, strings.Repeat("K", lock.MaxMetaKey-6))
		metadata[key] = strings.Repeat("é", lock.MaxMetaValue/2)
		pairs = append(pairs, fmt.Sprintf("%q:%q", key, metadata[key]))
	}
	content := jsonBody(fmt.Sprintf(`{"holder":%q,"reason":%q,"metadata":{%s}}`, holder, reason, strings.Join(pairs, ",")))
	s.do(t, "POST /v1/locks/"+name+"/acquire", content).want(200)
	same := func(where, gotHolder, gotReason string, got map[string]string) {
		t.Helper()
		if gotHolder != holder || gotReason != reason || fmt.Sprint(got) != fmt.Sprint(metadata) {
			t.Errorf("%s: it is not whole", where)
		}
	}
	l := s.do(t, "GET /v1/locks/"+name).lock().Lease
	same("lock", l.Holder, l.Reason, l.Metadata)
	h := s.do(t, "POST /v1/locks/"+name+"/acquire", content).want(409, api.CodeHeld).problem().Lease
	same("409", h.Holder, h.Reason, h.Metadata)
	_, records, _ := s.do(t, "GET /v1/audit?kind=granted").lines()
	same("journal", records[0].Holder, records[0].Reason, records[0].Metadata)
	s.do(t, "GET /v1/audit?format=csv").want(http.StatusOK)
	// In a header and a query there is room for less; a form has to be encoded, too.
	form := url.Values{"holder": {holder}, "reason": {reason}, "meta.JobURL": {"https://ci.example.com/job/1?a=b&c=d+e"}}
	s.do(t, "POST /v1/locks/form/acquire", formBody(form.Encode())).want(200)
	if l := s.do(t, "GET /v1/locks/form").lock().Lease; l.Holder != holder || l.Metadata["JobURL"] != form.Get("meta.JobURL") {
		t.Errorf("%+v", l)
	}
	var r record.Record
	_, records, _ = s.do(t, "GET /v1/audit?kind=granted&prefix=form").lines()
	if r = records[0]; r.Metadata["JobURL"] != form.Get("meta.JobURL") {
		t.Errorf("%+v", r)
	}
}
