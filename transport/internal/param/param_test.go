package param

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/octostore/octostore/core/input"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/api"
)

// A number of JSON is a number however it is written.
func TestNumbersAreWrittenPlainly(t *testing.T) {
	for in, want := range map[string]string{
		"60": "60", "6e1": "60", "6E+1": "60", "600e-1": "60", "60.0": "60", "0.06e3": "60",
		"1.5": "1.5", "15e-1": "1.5", "1.50": "1.5", "5e-1": "0.5",
		"0": "0", "0e5": "0", "0.0": "0", "-0": "-0", "-1e1": "-10", "-2.5e0": "-2.5",
		"1.882638332723201e15": "1882638332723201",
		"1e30":                 "1" + strings.Repeat("0", 30),
		"1e31":                 "1e31", // too much to write out, and for anything here
		"1e-31":                "1e-31",
		"1e99999999999999999":  "1e99999999999999999",
	} {
		if got := plainNumber(in); got != want {
			t.Errorf("%s is %s, want %s", in, got, want)
		}
	}
}

// FuzzParams: whatever comes in, the parser does not fail but by saying which field
// is wrong, and reads queries as net/url does and JSON as encoding/json.
func FuzzParams(f *testing.F) {
	f.Add("ttl=60s&wait=5&meta.k=v", "", false)
	f.Add("holder=a+b%2B%c3%a9", `{"ttl": 60, "metadata": {"k": "v"}}`, true)
	f.Add("ttl=1;wait=2", `{"holder": "\ud800"}`, true)
	f.Add("%zz", "ttl=1&ttl=2", false)
	f.Add("&&=", `{"a":{"b":[1,2,{}]}}`, true)
	known := SetOf(TTL, Wait, Holder, Reason, Metadata)
	f.Fuzz(func(t *testing.T, query, content string, isJSON bool) {
		p := expecting(known)
		if err := p.parsePairs("query", query); err != nil {
			wantInputError(t, err)
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("%q was read, but net/url says %v", query, err)
		}
		for name, v := range values {
			if got, ok := p.get(name); !ok || len(v) != 1 || got != v[0] {
				t.Fatalf("%q: %s is %q, want %q", query, name, got, v)
			}
		}
		if content == "" {
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		if isJSON {
			r.Header.Set("Content-Type", "application/json")
		}
		q := expecting(known)
		if err := q.ParseBody(r, []byte(content)); err != nil {
			wantInputError(t, err)
			return
		}
		if trimmed := strings.TrimSpace(content); strings.HasPrefix(trimmed, "{") {
			checkJSON(t, q, content)
		}
	})
}

func expecting(allowed Set) *Values {
	p := new(Values)
	p.Expect(allowed, false, nil)
	return p
}

func checkJSON(t *testing.T, p *Values, content string) {
	var v struct {
		TTL, Wait      any
		Holder, Reason string
		Metadata       map[string]string
	}
	if err := json.Unmarshal([]byte(content), &v); err != nil {
		t.Fatalf("%q was read, but encoding/json says %v", content, err)
	}
	if v.Holder != p.Text(Holder) || v.Reason != p.Text(Reason) || len(v.Metadata) != len(p.metadata) {
		t.Fatalf("%q: read %+v, want %+v", content, p, v)
	}
	for k, want := range v.Metadata {
		if p.metadata[k] != want {
			t.Fatalf("%q: metadata %q is %q, want %q", content, k, p.metadata[k], want)
		}
	}
}

// get returns what was read for a name as it stands in a query.
func (p *Values) get(name string) (string, bool) {
	if key, ok := strings.CutPrefix(name, "meta."); ok {
		v, ok := p.metadata[key]
		return v, ok
	}
	f, ok := named(name)
	return p.texts[f], ok && p.Has(f)
}

func wantInputError(t *testing.T, err error) {
	t.Helper()
	e, ok := err.(*input.Error)
	if !ok || e.Problem == "" || e.Want == "" {
		t.Fatalf("want an input error that says all, got %#v", err)
	}
}

// FuzzBody: a body is read as its kind says, or refused with the field that is wrong,
// and never half read.
func FuzzBody(f *testing.F) {
	f.Add("application/json", `{"ttl": "90s", "holder": "h", "metadata": {"k": "v"}}`)
	f.Add("application/json", `{"ttl": 1e400}{}`)
	f.Add("text/plain", `{"a": [[[[[[[[[[{}]]]]]]]]]]}`)
	f.Add("application/x-www-form-urlencoded", "ttl=90s&holder=h%C3%A9&meta.k=v\r\n")
	f.Add("application/x-www-form-urlencoded", "a=%c3%28&=&%")
	f.Add("multipart/form-data; boundary=x", "--x--")
	known := SetOf(TTL, Wait, Holder, Reason, Metadata)
	f.Fuzz(func(t *testing.T, kind, content string) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header["Content-Type"] = []string{kind}
		p := expecting(known)
		if err := p.ParseBody(r, []byte(content)); err != nil {
			wantInputError(t, err)
			return
		}
		trimmed := strings.TrimSpace(content)
		if strings.HasPrefix(trimmed, "{") {
			checkJSON(t, p, content)
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

// FuzzLockInfo: a lock info is refused with the member that is wrong, or gives texts that a lease
// may hold, whatever it says, and a time that comes back from JSON.
func FuzzLockInfo(f *testing.F) {
	f.Add(`{"ID":"9dadb095-532f-80fa-7a3e-387cfc948a26","Operation":"OperationTypeApply","Info":"","Who":"root@vm","Version":"1.11.4","Created":"2026-11-27T17:11:09.152019424Z","Path":""}`)
	f.Add(`{"ID":"9dadb095-532f-80fa-7a3e-387cfc948a26","Created":"0000-01-01T00:00:00+23:59","Who":"\ud800\u0000"}`)
	f.Add(`{"ID":"9dadb095-532f-80fa-7a3e-387cfc948a26","x":[[[[{}]]]],"ID":null}`)
	f.Fuzz(func(t *testing.T, content string) {
		var p Values
		if err := p.ParseLockInfo(httptest.NewRequest("LOCK", "/", nil), []byte(content)); err != nil {
			wantInputError(t, err)
			return
		}
		info := p.LockInfo()
		if info == nil {
			if strings.TrimSpace(content) != "" {
				t.Fatalf("%q counts as empty", content)
			}
			return
		}
		texts := map[string]string{"a": info.ID, "b": info.Operation, "c": info.Info, "d": info.Version, "e": info.Path}
		if err := errors.Join(lock.CheckMetadata(texts), input.CheckText("holder", info.Who, lock.MaxHolder)); err != nil {
			t.Errorf("%q: %v", content, err)
		}
		text, err := json.Marshal(info)
		var again api.TerraformLock
		if err := errors.Join(err, json.Unmarshal(text, &again)); err != nil || again != *info {
			t.Errorf("%q: %+v comes back as %+v, %v", content, info, again, err)
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

func BenchmarkParams(b *testing.B) {
	for name, query := range map[string]string{
		"simple":  "ttl=60s&wait=30s&holder=ci-4711",
		"encoded": "ttl=60s&wait=30s&holder=ci%2d4711&reason=release+1.4&meta.ticket=OPS-7",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var p Values
				p.Expect(SetOf(TTL, Wait, Holder, Reason, Metadata), false, nil)
				if err := p.ParseQuery(query); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
