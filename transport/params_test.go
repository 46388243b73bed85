package transport

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/internal/param"
)

// Where a parameter comes from makes no difference.
func TestParametersComeFromQueryOrBody(t *testing.T) {
	const path = "POST /v1/locks/a/acquire"
	for _, test := range []struct {
		name    string
		line    string
		options []option
	}{
		{"query", path + "?ttl=90s&holder=h%C3%A9&reason=a+b%2Bc&meta.k=v", nil},
		{"query, with empty pairs", path + "?&ttl=90s&&holder=h%c3%a9&reason=a+b%2Bc&meta.k=v&", nil},
		{"form", path, []option{formBody("ttl=90s&holder=h%C3%A9&reason=a+b%2Bc&meta.k=v")}},
		{"form, with the end of its line", path, []option{formBody("ttl=90s&holder=h%C3%A9&reason=a+b%2Bc&meta.k=v\r\n")}},
		{"JSON", path, []option{jsonBody(`{"ttl": "1m30s", "holder": "hé", "reason": "a b+c", "metadata": {"k": "v"}}`)}},
		{"JSON, with blanks around", path, []option{jsonBody("\n {\"ttl\": 90, \"holder\": \"h\\u00e9\", \"reason\": \"a b+c\", \"metadata\": {\"k\": \"v\"}}\n")}},
		{"some here and some there", path + "?ttl=90&holder=h%C3%A9", []option{jsonBody(`{"reason": "a b+c", "metadata": {"k": "v"}}`)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, setup{})
			s.do(t, test.line, test.options...).want(200)
			got := s.do(t, "GET /v1/locks/a").lock().Lease
			want := &api.Lease{Account: "local", Holder: "hé", Reason: "a b+c", Metadata: map[string]string{"k": "v"}, TTLMS: 90_000}
			want.FencingToken, want.ExpiresInMS, want.GrantedAt, want.ExpiresAt = got.FencingToken, got.ExpiresInMS, got.GrantedAt, got.ExpiresAt
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// curl -d says form, whatever it sends.
func TestJSONIsKnownByItsBrace(t *testing.T) {
	for _, contentType := range []string{"application/x-www-form-urlencoded", "text/plain", ""} {
		s := newServer(t, setup{})
		g := s.do(t, "POST /v1/locks/a/acquire", body(contentType, `{"ttl": 5}`), onPurpose).grant()
		if g.TTLMS != 5000 {
			t.Errorf("%q: ttl_ms is %d", contentType, g.TTLMS)
		}
	}
}

func TestParametersThatAreRefused(t *testing.T) {
	const acquire, renew, release, breaks = "POST /v1/locks/a/acquire", "POST /v1/locks/a/renew", "POST /v1/locks/a/release", "POST /v1/locks/a/break?reason=r"
	many := strings.Repeat(`"k":"v",`, 2)
	for _, test := range []struct {
		name    string
		line    string
		options []option
		field   string
	}{
		{"ttl twice in the query", acquire + "?ttl=60s&ttl=60s", nil, "ttl"},
		{"ttl in query and form", acquire + "?ttl=60s", []option{formBody("ttl=60s")}, "ttl"},
		{"ttl in query and JSON", acquire + "?ttl=60s", []option{jsonBody(`{"ttl":60}`)}, "ttl"},
		{"ttl twice in JSON", acquire, []option{jsonBody(`{"ttl":60,"ttl":60}`)}, "ttl"},
		{"holder twice, once empty", acquire + "?holder=&holder=x", nil, "holder"},
		{"metadata twice in the query", acquire + "?meta.k=v&meta.k=w", nil, "meta.k"},
		{"metadata twice, query and JSON", acquire + "?meta.k=v", []option{jsonBody(`{"metadata":{"k":"v"}}`)}, "meta.k"},
		{"the same key twice in metadata", acquire, []option{jsonBody(`{"metadata":{` + many + `"l":"w"}}`)}, "meta.k"},
		{"metadata twice in JSON", acquire, []option{jsonBody(`{"metadata":{},"metadata":{}}`)}, "metadata"},
		{"the same, written differently", acquire + "?ttl=60s&%74tl=60s", nil, "ttl"},
		{"lease id twice", renew + "?lease_id=x", []option{header("Octostore-Lease", "x")}, "lease_id"},
		{"lease header twice", renew, []option{header("Octostore-Lease", "x"), header("Octostore-Lease", "x")}, "Octostore-Lease"},
		{"key twice", acquire, []option{header("Idempotency-Key", long(20)), header("Idempotency-Key", long(20))}, "Idempotency-Key"},

		{"unknown in the query", acquire + "?colour=red", nil, "colour"},
		{"unknown in a form", acquire, []option{formBody("colour=red")}, "colour"},
		{"unknown in JSON", acquire, []option{jsonBody(`{"colour":"red"}`)}, "colour"},
		{"another case in JSON", acquire, []option{jsonBody(`{"TTL":60}`)}, "TTL"},
		{"known, but not here", release + "?ttl=60s", nil, "ttl"},
		{"metadata is spelled meta.KEY", acquire + "?metadata=x", nil, "metadata"},
		{"meta.KEY is for queries", acquire, []option{jsonBody(`{"meta.k":"v"}`)}, "meta.k"},
		{"metadata, but not here", renew + "?meta.k=v", nil, "meta.k"},
		{"parameters where there are none", "GET /v1/locks/a?ttl=60s", nil, "ttl"},
		{"a very long name", acquire + "?" + long(500) + "=1", nil, long(80) + "…"},

		{"a bad percent encoding", acquire + "?holder=%zz", nil, "query"},
		{"half a percent encoding", acquire + "?holder=%4", nil, "query"},
		{"a semicolon", acquire + "?ttl=60s;wait=5s", nil, "query"},
		{"a bad percent encoding in a form", acquire, []option{formBody("holder=%")}, "body"},

		{"an empty ttl", acquire + "?ttl=", nil, "ttl"},
		{"a ttl without a value", acquire + "?ttl", nil, "ttl"},
		{"an empty wait in JSON", acquire, []option{jsonBody(`{"wait":""}`)}, "wait"},
		{"an empty lease id", renew + "?lease_id=", nil, "lease_id"},
		{"an empty lease header", renew, []option{header("Octostore-Lease", "")}, "Octostore-Lease"},
		{"no lease id", release, nil, "lease_id"},
		{"an empty key", acquire, []option{header("Idempotency-Key", "")}, "Idempotency-Key"},
		{"a short key", acquire, []option{header("Idempotency-Key", "short")}, "Idempotency-Key"},

		{"a ttl of nothing", acquire + "?ttl=0", nil, "ttl"},
		{"a ttl of next to nothing", acquire + "?ttl=900us", nil, "ttl"},
		{"a short ttl", acquire + "?ttl=999ms", nil, "ttl"},
		{"a long ttl", acquire + "?ttl=3601", nil, "ttl"},
		{"a negative ttl", acquire + "?ttl=-60s", nil, "ttl"},
		{"a ttl in words", acquire + "?ttl=long", nil, "ttl"},
		{"a ttl for machines", acquire + "?ttl=1e3", nil, "ttl"},
		{"a ttl that overflows", acquire + "?ttl=99999999999999999999", nil, "ttl"},
		{"a ttl of an exponent, as a string", acquire, []option{jsonBody(`{"ttl":"1e1"}`)}, "ttl"},
		{"a ttl whose exponent is too large", acquire, []option{jsonBody(`{"ttl":1e9}`)}, "ttl"},
		{"a ttl whose exponent is beyond all reason", acquire, []option{jsonBody(`{"ttl":1e999999999999}`)}, "ttl"},
		{"a ttl whose exponent is too small", acquire, []option{jsonBody(`{"ttl":1e-9}`)}, "ttl"},
		{"a negative ttl in JSON", acquire, []option{jsonBody(`{"ttl":-6e1}`)}, "ttl"},
		{"a renewal's ttl of nothing", renew + "?lease_id=x&ttl=0s", nil, "ttl"},
		{"a negative wait", acquire + "?wait=-1", nil, "wait"},
		{"a long holder", acquire + "?holder=" + long(257), nil, "holder"},
		{"a control character", acquire + "?reason=a%0Ab", nil, "reason"},
		{"not UTF-8", acquire + "?reason=%ff", nil, "reason"},
		{"a bad metadata key", acquire + "?meta.K%20=v", nil, "metadata"},
		{"a long metadata value", acquire + "?meta.k=" + long(513), nil, "meta.k"},

		{"JSON of the wrong type: boolean", acquire, []option{jsonBody(`{"ttl":true}`)}, "ttl"},
		{"JSON of the wrong type: null", acquire, []option{jsonBody(`{"holder":null}`)}, "holder"},
		{"JSON of the wrong type: number", acquire, []option{jsonBody(`{"holder":5}`)}, "holder"},
		{"JSON of the wrong type: object", acquire, []option{jsonBody(`{"wait":{}}`)}, "wait"},
		{"JSON of the wrong type: array", acquire, []option{jsonBody(`{"wait":[1]}`)}, "wait"},
		{"metadata that is no object", acquire, []option{jsonBody(`{"metadata":"k=v"}`)}, "metadata"},
		{"metadata that is an array", acquire, []option{jsonBody(`{"metadata":["k"]}`)}, "metadata"},
		{"metadata that is not of strings", acquire, []option{jsonBody(`{"metadata":{"k":1}}`)}, "metadata.k"},
		{"something after the object", acquire, []option{jsonBody(`{} {}`)}, "body"},
		{"half an object", acquire, []option{jsonBody(`{"ttl":`)}, "body"},
		{"no JSON", acquire, []option{jsonBody(`{ttl: 60}`)}, "body"},
		{"a comma too many", acquire, []option{jsonBody(`{"ttl":60,}`)}, "body"},
		{"JSON that is no object", acquire, []option{jsonBody(`["ttl"]`)}, "body"},
		{"JSON that is not UTF-8", acquire, []option{jsonBody("{\"holder\":\"\xff\"}")}, "body"},
		{"many forms at once", acquire, []option{body("multipart/form-data; boundary=x", "--x--")}, "body"},
		{"a compressed body", acquire, []option{formBody("ttl=60s"), header("Content-Encoding", "gzip")}, "Content-Encoding"},
		{"a body where none belongs", "GET /v1/locks/a", []option{formBody("x")}, "body"},
		{"a body to a listing", "GET /v1/locks", []option{formBody("limit=5")}, "body"},

		{"no reason to break", "POST /v1/locks/a/break", nil, "reason"},
		{"an empty reason to break", "POST /v1/locks/a/break?reason=", nil, "reason"},
		{"a reason to break of nothing but blanks", "POST /v1/locks/a/break?reason=+%20", nil, "reason"},
		{"the same in JSON", "POST /v1/locks/a/break", []option{jsonBody(`{"reason":"  "}`)}, "reason"},
		{"a lease id of blanks", release + "?lease_id=+", nil, "lease_id"},
		{"a lease id of blanks in a body", renew, []option{jsonBody(`{"lease_id":" "}`)}, "lease_id"},
		{"a token of nothing", breaks + "&fencing_token=0", nil, "fencing_token"},
		{"a negative token", breaks + "&fencing_token=-1", nil, "fencing_token"},
		{"an empty token", breaks + "&fencing_token=", nil, "fencing_token"},
		{"a token too large", breaks + "&fencing_token=9007199254740992", nil, "fencing_token"},
		{"a token of words", breaks + "&fencing_token=x", nil, "fencing_token"},
		{"a token with a fraction and an exponent", "POST /v1/locks/a/break", []option{jsonBody(`{"reason":"r","fencing_token":15e-1}`)}, "fencing_token"},
		{"a token with decimals", "POST /v1/locks/a/break", []option{jsonBody(`{"reason":"r","fencing_token":1.5}`)}, "fencing_token"},

		{"a limit of nothing", "GET /v1/locks?limit=0", nil, "limit"},
		{"a limit too large", "GET /v1/locks?limit=1001", nil, "limit"},
		{"a limit in words", "GET /v1/locks?limit=all", nil, "limit"},
		{"an empty limit", "GET /v1/locks?limit=", nil, "limit"},
		{"a prefix that is none", "GET /v1/locks?prefix=a%20b", nil, "prefix"},
		{"after what is no name", "GET /v1/locks?after=a//b", nil, "after"},

		{"a verb without a name", "POST /v1/locks/acquire", nil, "name"},
		{"no name", "POST /v1/locks//acquire", nil, "name"},
		{"no name at all", "POST /v1/locks/acquire", nil, "name"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, setup{})
			s.do(t, test.line, append(test.options, onPurpose)...).wantInvalid(test.field)
			if l := s.do(t, "GET /v1/locks/a").lock(); l.State != api.Free {
				t.Error("and yet the lock was taken")
			}
		})
	}
}

func TestParametersThatAreAccepted(t *testing.T) {
	for _, line := range []string{
		"POST /v1/locks/a/acquire?holder=",
		"POST /v1/locks/a/acquire?reason=&holder=",
		"POST /v1/locks/a/acquire?ttl=1.5",
		"POST /v1/locks/a/acquire?ttl=1h",
		"POST /v1/locks/a%2Fb/acquire",
		"POST /v1/locks/acquire2/acquire",
		"POST /v1/locks/a/acquire?meta.a.b=&meta.c=%E2%9C%93",
		"GET /v1/locks?prefix=&after=&account=",
		"GET /v1/locks?limit=1000",
	} {
		t.Run(line, func(t *testing.T) {
			newServer(t, setup{}).do(t, line).want(200)
		})
	}
}

func TestNameWithEncodedSlashes(t *testing.T) {
	s := newServer(t, setup{})
	g := s.do(t, "POST /v1/locks/a%2Fb/acquire").grant()
	if g.Name != "a/b" {
		t.Errorf("the name is %q", g.Name)
	}
	s.do(t, "POST /v1/locks/a/b/acquire").want(409, api.CodeHeld)
	s.do(t, "POST /v1/locks/a/b%2Frelease", header("Octostore-Lease", g.LeaseID)).want(200)
}

func TestBodiesHaveABound(t *testing.T) { byBothDoors(t, testBodiesHaveABound) }

func testBodiesHaveABound(t *testing.T) {
	s := newServer(t, setup{})
	s.do(t, "POST /v1/locks/a/acquire", jsonBody(`{"ttl":60}`+strings.Repeat(" ", param.MaxBody-10))).want(200)
	s.do(t, "POST /v1/locks/b/acquire", jsonBody(`{"ttl":60}`+strings.Repeat(" ", param.MaxBody-9)), onPurpose).want(413, api.CodeTooLarge)

	// Its length need not be known beforehand.
	w := dial(t, s, listening(t, s))
	w.raw("POST /v1/locks/b/acquire HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"4001\r\nttl=60s&" + long(param.MaxBody+1-8) + "\r\n0\r\n\r\n")
	w.receive(newRequest("POST /v1/locks/b/acquire", []option{onPurpose})).want(413, api.CodeTooLarge)
}

// A number of JSON is a number however it is written.
func TestNumbersInJSON(t *testing.T) {
	s := newServer(t, setup{})
	g := s.do(t, "POST /v1/locks/a/acquire", jsonBody(`{"ttl": 1.5e1, "wait": 0e0}`)).grant()
	if g.TTLMS != 15_000 {
		t.Errorf("ttl_ms is %d, want 15000", g.TTLMS)
	}
	token := fmt.Sprintf("%de-1", g.FencingToken*10)
	s.do(t, "POST /v1/locks/a/break", jsonBody(`{"reason":"r","fencing_token":`+token+`}`), onPurpose).want(200)
}
