//go:build unix

package recipes_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

const aGrant = "AAawP-UQAAHEsG6K9h6Zwvhr4Tdaq09I 1882638332723201\n"

// page answers everything alike.
func page(status int, header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if name, value, found := strings.Cut(header, ": "); found {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the client may have left
	}
}

// Whatever stands in front of the server may answer in its place. Nothing of it is a lock.
func TestWithLockTakesNothingElseForAGrant(t *testing.T) {
	t.Parallel() // it waits more than it works
	var all sync.WaitGroup
	defer all.Wait()
	const login = "<html><title>Log in</title><form>Moved Permanently</form></html>\n"
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"https":        {page(301, "Location: https://locks.example.com/", "Moved Permanently\n"), "answered 301 and a redirect to https://locks.example.com/"},
		"login":        {redirectTo("/login", page(200, "", login)), "answered 302 and a redirect to /login"},
		"again":        {redirectTo("/granted", page(200, "", aGrant)), "answered 302"},
		"with a body":  {page(307, "Location: /", aGrant), "answered 307"},
		"login at 200": {page(200, "", login), "answered 200, not the way OctoStore does"},
		"nothing":      {page(204, "", ""), "answered 204"},
		"created":      {page(201, "", aGrant), "answered 201"},
		"accepted":     {page(202, "", aGrant), "answered 202"},
		"empty":        {page(200, "", ""), "answered 200"},
		"JSON":         {page(200, "", `{"ok":true}`+"\n"), "answered 200"},
		"no number":    {page(200, "", "AAawP-UQAAHEsG6K9h6Zwvhr4Tdaq09I Permanently\n"), "answered 200"},
		"zero":         {page(200, "", "AAawP-UQAAHEsG6K9h6Zwvhr4Tdaq09I 0\n"), "answered 200"},
		"short id":     {page(200, "", "AAawP-UQAAHEsG6K9h6Zwvhr4Tdaq09 1882638332723201\n"), "answered 200"},
		"bad id":       {page(200, "", "AAawP+UQAAHEsG6K9h6Zwvhr4Tdaq09I 1882638332723201\n"), "answered 200"},
		"no end":       {page(200, "", strings.TrimSuffix(aGrant, "\n")), "answered 200"},
		"two lines":    {page(200, "", aGrant+"\n"), "answered 200"},
		"NUL":          {page(200, "", "\x00"+aGrant), "answered 200"},
		"CR":           {page(200, "", strings.Replace(aGrant, "\n", "\r\n", 1)), "answered 200"},
		"a page first": {page(200, "", login+aGrant), "answered 200"},
	} {
		beside(&all, t, name, func(t *testing.T) {
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasSuffix(r.URL.Path, "/acquire") {
					t.Errorf("it asks for %s", r.URL.Path) // as if it had a lease, or following
				}
				c.answer(w, r)
			}))
			t.Cleanup(proxy.Close)
			eachShell(t, func(t *testing.T, sh shell) {
				r := sh.start(t, proxy.URL, nil, "deploy/prod", "/bin/echo", "ran")
				r.ends(t, 69, c.says)
				if r.out.String() != "" {
					t.Error("the command ran")
				}
			})
		})
	}
}

// redirectTo sends every request that is not there already.
func redirectTo(path string, there http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			there(w, r)
			return
		}
		http.Redirect(w, r, path, http.StatusFound)
	}
}

func TestWithLockStartsNothingOnALeaseItCannotRenew(t *testing.T) {
	t.Parallel() // it waits more than it works
	var all sync.WaitGroup
	defer all.Wait()
	p := octotest.Start(t, t.TempDir())
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		status int
	}{
		"page":    {page(200, "", "<html>"), 69},
		"denied":  {page(403, "", `{"detail":"no","code":"policy_denied"}`), 69},
		"cut":     {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 69},
		"another": {page(200, "", `{"lease_id":"AAawP-UQAAHEsG6K9h6Zwvhr4Tdaq09I","expires_in_ms":5000}`), 69},
		"over":    {page(409, "", `{"detail":"over","code":"not_held"}`), 79},
	} {
		beside(&all, t, name, func(t *testing.T) {
			proxy := newFront(t, p.Addr, func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/renew") {
					return false
				}
				c.answer(w, r)
				return true
			})
			eachShell(t, func(t *testing.T, sh shell) {
				name := "unconfirmed/" + name + "/" + sh.name
				r := sh.start(t, proxy.URL, []string{"LOCK_TTL=1h"}, name, "/bin/echo", "ran")
				r.ends(t, c.status, name)
				if r.out.String() != "" {
					t.Error("the command ran")
				}
				expectFree(t, p, name)
			})
		})
	}
}

// Messages of a server are untrusted text for people.
func TestWithLockCleansWhatItShows(t *testing.T) {
	t.Parallel() // it waits more than it works
	problem := `{"detail":"no \u001b[31m` + "\x1b[2J\x07\u202edlroW\u009b\u200b\ufeff" + ` \"prod\" \\u0022 C:\\x <é>","code":"policy_denied"}`
	proxy := httptest.NewServer(page(403, "", problem))
	t.Cleanup(proxy.Close)
	eachShell(t, func(t *testing.T, sh shell) {
		r := sh.start(t, proxy.URL, nil, "deploy/prod", "/bin/echo", "ran")
		r.ends(t, 77)
		if want := `with-lock: deploy/prod: no \u001b[31m[2JdlroW "prod" \u0022 C:\x <é>` + "\n"; r.errs.String() != want {
			t.Errorf("it shows %q, want %q", r.errs.String(), want)
		}
	})
}

func TestWithLockObeysRetryAfter(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := octotest.Start(t, t.TempDir())
	eachShell(t, func(t *testing.T, sh shell) {
		for _, header := range []string{"Retry-After: 3", "retry-after: 3", "Retry-After: 0003"} {
			var first atomic.Int64
			took := make(chan time.Duration, 1)
			proxy := newFront(t, p.Addr, func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/acquire") {
					return false
				}
				now := time.Now().UnixNano()
				if !first.CompareAndSwap(0, now) {
					select {
					case took <- time.Duration(now - first.Load()):
					default: // only the second request counts; on a busy machine there may be more
					}
					return false
				}
				page(429, header, `{"detail":"too many requests","code":"rate_limited"}`)(w, r)
				return true
			})
			r := sh.start(t, proxy.URL, nil, "later/"+sh.name, "/bin/echo", "ran")
			r.ends(t, 0, "too many requests; asking again")
			if got := <-took; got < 3*time.Second {
				t.Errorf("it asked again after %s, want %s", got, header)
			}
		}
	})
}

func TestWithLockTellsRefusalsFromOutages(t *testing.T) {
	t.Parallel() // it waits more than it works
	var all sync.WaitGroup
	defer all.Wait()
	for _, c := range []struct {
		status, ends int
		body         string
	}{
		{400, 64, `{"detail":"bad ttl","code":"invalid"}`},
		{413, 64, `{"detail":"too large","code":"too_large"}`},
		{422, 64, `{"detail":"other parameters","code":"key_mismatch"}`},
		{401, 77, `{"detail":"no token","code":"unauthenticated"}`},
		{403, 77, "<html>WAF"},
		{404, 69, `{"detail":"nothing here","code":"not_found"}`},
		{405, 69, "<html>"},
		{409, 69, `{"detail":"whatever","code":"conflict"}`},
		{400, 69, "<html>plain HTTP sent to a TLS port"},
	} {
		beside(&all, t, fmt.Sprint(c.status, c.ends), func(t *testing.T) {
			var asked atomic.Int64
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				page(c.status, "", c.body)(w, r)
			}))
			t.Cleanup(proxy.Close)
			eachShell(t, func(t *testing.T, sh shell) {
				r := sh.start(t, proxy.URL, nil, "deploy/prod", "/bin/echo", "ran")
				r.ends(t, c.ends)
				if r.out.String() != "" {
					t.Error("the command ran")
				}
			})
			t.Cleanup(func() {
				if n := asked.Load(); n > 3 {
					t.Errorf("three scripts asked %d times", n)
				}
			})
		})
	}
}
