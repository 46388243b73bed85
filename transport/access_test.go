package transport

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/table"
	"github.com/octostore/octostore/transport/api"
)

// token makes a token and returns what sends it.
func (s *server) token(t testing.TB, account, scopes string) (auth.Token, option) {
	t.Helper()
	parsed, err := auth.ParseScopes(scopes)
	if err != nil {
		t.Fatal(err)
	}
	made, secret, err := s.tokens.Create(context.Background(), lock.Origin{}, auth.TokenSpec{Account: account, Scopes: parsed})
	if err != nil {
		t.Fatal(err)
	}
	return made, header("Authorization", "Bearer "+secret)
}

func (s *server) as(t testing.TB, account, scopes string) option {
	t.Helper()
	_, with := s.token(t, account, scopes)
	return with
}

// Two teams on one server: each has locks, and neither may see the other's.
func teams(t testing.TB) (s *server, alice, bob option) {
	s = newServer(t, setup{})
	alice, bob = s.as(t, "alice", "acquire,read,audit:team-a/**"), s.as(t, "bob", "acquire,read,audit:team-b/** acquire:shared")
	s.do(t, "POST /v1/locks/team-a/x/acquire?holder=alices-job&reason=alices-reason&meta.ticket=alices-ticket", alice).want(200)
	s.do(t, "POST /v1/locks/team-b/x/acquire?holder=bobs-job", bob).want(200)
	return s, alice, bob
}

func TestScopesHideLocks(t *testing.T) {
	s, alice, bob := teams(t)
	for line, want := range forbiddenToBob {
		a := s.do(t, line, bob).want(403, api.CodeForbidden)
		what, needs, _ := strings.Cut(want, "|")
		if one, is := strings.CutSuffix(needs, "…"); is {
			folder, _, _ := strings.Cut(one, "/")
			needs = one + " or a wider one such as " + folder + "/**, or admin"
		}
		// That and nothing else: a lock that is held is refused like one that is free.
		if detail := a.problem().Detail; detail != "this account may not "+what+"; its token would need the scope "+needs {
			t.Errorf("%s: %s", line, detail)
		}
	}
	if got := s.do(t, "GET /v1/locks/team-a/x", alice).lock(); got.Lease == nil || got.Lease.Holder != "alices-job" {
		t.Errorf("alice sees %+v", got)
	}
	for _, line := range []string{"GET /v1/locks", "GET /v1/locks?prefix=team-", "GET /v1/locks?prefix=team-a/", "GET /v1/locks?account=alice", "GET /v1/audit", "GET /v1/audit?prefix=team-a", "GET /v1/audit?account=alice", "GET /v1/audit?format=csv", "GET /v1/audit?kind=token_created"} {
		if got := string(s.do(t, line, bob).want(200).body); strings.Contains(got, "alice") && !strings.Contains(line, "alice") || strings.Contains(got, "alices") || strings.Contains(got, "team-a/x") || strings.Contains(got, `"token_created"`) {
			t.Errorf("%s shows bob: %s", line, got)
		}
	}
	for line, want := range map[string]string{"GET /v1/locks": `"name":"team-b/x"`, "GET /v1/audit": `"name":"team-b/x"`} {
		if got := string(s.do(t, line, bob).want(200).body); !strings.Contains(got, want) {
			t.Errorf("%s does not show bob his own: %s", line, got)
		}
	}
	if got := string(s.do(t, "GET /v1/audit", bob).body); !strings.Contains(got, `"verifiable":false`) || !strings.Contains(got, `"filter":"names=readable"`) {
		t.Errorf("a part of the journal says it can be verified: %s", got)
	}
	all := s.as(t, "auditor", "audit:**")
	if got := string(s.do(t, "GET /v1/audit", all).want(200).body); !strings.Contains(got, `"verifiable":true`) || !strings.Contains(got, "token_created") || !strings.Contains(got, `"token_id":`) {
		t.Errorf("who may read all gets %s", got)
	}
	explainer := s.as(t, "explainer", "policies read:team-a/**")
	s.do(t, "GET /v1/policies/explain?name=team-a/x", explainer).want(200)
	s.do(t, "GET /v1/policies/explain?name=team-b/x", explainer).want(403, api.CodeForbidden) // a policy may tell who has it
	for line, want := range map[string]string{
		"GET /v1/locks":  "this account may not list locks; its token would need the scope read:** or read with a narrower pattern such as read:team-a/**, or admin",
		"GET /v1/events": "this account may not watch locks; its token would need the scope read:** or read with a narrower pattern such as read:team-a/**, or admin",
	} {
		if got := s.do(t, line, all).want(403, api.CodeForbidden).problem().Detail; got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
	got := s.do(t, "GET /v1/audit", s.as(t, "reader", "read:**")).want(403, api.CodeForbidden).problem().Detail
	if !strings.HasPrefix(got, "this account may not read the audit log; its token would need the scope audit:**") {
		t.Error(got)
	}
}

// An account that may acquire a lock but not read it learns that it is held, but not by which account.
func TestScopesHideTheHolderInAConflict(t *testing.T) {
	s, _, bob := teams(t)
	carol := s.as(t, "carol", "acquire,read:shared")
	s.do(t, "POST /v1/locks/shared/acquire?ttl=1h&holder=carols-job", carol).want(200)
	for _, line := range []string{"POST /v1/locks/shared/acquire", "POST /v1/locks/shared/acquire?wait=1ms"} {
		a := s.do(t, line, bob).want(409, api.CodeHeld)
		p := a.problem()
		if p.Lease != nil || bytes.Contains(a.body, []byte("carol")) || p.RetryAfterMS < 1000 {
			t.Errorf("%s tells %s", line, a.body)
		}
	}
	if p := s.do(t, "POST /v1/locks/shared/acquire", carol).want(409, api.CodeHeld).problem(); p.Lease == nil || p.Lease.Holder != "carols-job" {
		t.Errorf("who may read is told %+v", p)
	}
}

func TestWatchShowsOnlyWhatMayBeRead(t *testing.T) {
	s, alice, bob := teams(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rec := &written{ResponseRecorder: httptest.NewRecorder(), told: make(chan string, 100)}
	done := make(chan struct{})
	r := newRequest("GET /v1/events", []option{bob, during(ctx)}).http()
	go func() { defer close(done); serve(s, rec, r) }()
	s.quiet(t)
	s.do(t, "POST /v1/locks/team-a/y/acquire?holder=alices-job", alice).want(200)
	s.do(t, "POST /v1/locks/team-b/y/acquire?holder=bobs-job", bob).want(200)
	for got := ""; !strings.Contains(got, "bobs-job"); {
		got = <-rec.told
		if strings.Contains(got, "alice") {
			t.Errorf("bob is told %s", got)
		}
	}
	cancel()
	<-done
}

// quiet waits until a client follows.
func (s *server) quiet(t testing.TB) {
	t.Helper()
	for giveUp := time.Now().Add(10 * time.Second); s.streams.Followers() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(giveUp) {
			t.Fatal("no stream follows")
		}
	}
}

// written tells what is written.
type written struct {
	*httptest.ResponseRecorder
	told chan string
}

func (w *written) Write(b []byte) (int, error) {
	w.told <- string(b)
	return len(b), nil
}

// Pages of a list are full whatever lies between, and the cursor loses nothing.
func TestPagesOfAPartialReaderAreFull(t *testing.T) {
	s := newServer(t, setup{})
	admin := s.as(t, "admin", "admin")
	var want []string
	for i := range 60 {
		for _, team := range []string{"a", "b", "c"} {
			name := fmt.Sprintf("%s/%03d", team, i)
			s.do(t, "POST /v1/locks/"+name+"/acquire", admin).want(200)
		}
	}
	for _, team := range []string{"a", "c"} {
		for i := range 60 {
			if name := fmt.Sprintf("%s/%03d", team, i); name != "c/013" {
				want = append(want, name)
			}
		}
	}
	reader := s.as(t, "reader", "read:c/**,!c/013,a/* read:a/00* acquire:**")
	for _, limit := range []int{1, 7, 59, 60, 119, 1000} {
		var got []string
		after := ""
		for {
			page := decode[api.List](s.do(t, fmt.Sprintf("GET /v1/locks?limit=%d&after=%s", limit, after), reader).want(200))
			for _, l := range page.Locks {
				got = append(got, l.Name)
			}
			if after = page.Next; after == "" {
				break
			}
			if len(page.Locks) != limit {
				t.Errorf("a page of %d has %d", limit, len(page.Locks))
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("limit %d: got %v", limit, got)
		}
	}
	for prefix, n := range map[string]int{"c/01": 9, "a/": 60, "b": 0, "a/0": 60, "c/013": 0, "d": 0, "": 119} {
		if got := decode[api.List](s.do(t, "GET /v1/locks?limit=1000&prefix="+prefix, reader).want(200)); len(got.Locks) != n || got.Next != "" {
			t.Errorf("prefix %q: %d locks and %q, want %d", prefix, len(got.Locks), got.Next, n)
		}
	}
}

func TestTokenThatIsInvalidIsRefused(t *testing.T) {
	s := newServer(t, setup{})
	s.do(t, "GET /v1/locks", header("Authorization", "Bearer whatever")).want(200) // without tokens any will do
	revoked, withRevoked := s.token(t, "a", "admin")
	if _, err := s.tokens.Revoke(t.Context(), lock.Origin{}, revoked.ID); err != nil {
		t.Fatal(err)
	}
	everything, err := auth.ParseScopes("admin")
	if err != nil {
		t.Fatal(err)
	}
	_, expired, err := s.tokens.Create(t.Context(), lock.Origin{}, auth.TokenSpec{Account: "a", Scopes: everything, Expires: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond) // its end is past then, whatever the machine does
	_, good := s.token(t, "alice", "read:**")
	secret := strings.TrimPrefix(newRequest("GET /", []option{good}).header.Get("Authorization"), "Bearer ")
	basic := func(user, password string) option {
		return header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
	}
	for what, with := range map[string]option{
		"Bearer": good, "a name of the scheme in small letters": header("Authorization", "bearer "+secret),
		"blanks around": header("Authorization", "Bearer   "+secret+" "), "Basic": basic("terraform", secret), "Basic without a name": basic("", secret),
	} {
		if a := s.do(t, "GET /v1/locks", with); a.status != 200 {
			t.Errorf("%s: %d", what, a.status)
		}
	}
	for what, with := range map[string]option{
		"none": func(*request) {}, "empty": header("Authorization", "Bearer "), "another one": header("Authorization", "Bearer "+auth.NewSecret()),
		"cut": header("Authorization", "Bearer "+secret[:52]), "longer": header("Authorization", "Bearer "+secret+"A"), "in other letters": header("Authorization", "Bearer "+strings.ToLower(secret)),
		"only the token": header("Authorization", secret), "another scheme": header("Authorization", "Token "+secret), "as the name of Basic": basic(secret, ""), "Basic that is none": header("Authorization", "Basic "+secret),
		"revoked": withRevoked, "expired": header("Authorization", "Bearer "+expired), "with a line break": header("Authorization", "Bearer octo_\r"+secret[6:]),
		"the hash": header("Authorization", fmt.Sprintf("Bearer %x", revoked.Hash)), "the id": header("Authorization", "Bearer "+revoked.ID),
		"another header": header("X-Api-Key", secret), "a cookie": header("Cookie", "token="+secret),
	} {
		for _, line := range []string{"GET /v1/locks", "POST /v1/locks/a/acquire", "GET /v1/locks/a", "GET /v1/audit", "GET /v1/events", "GET /v1/tokens", "GET /v1/policies"} {
			a := s.do(t, line, with)
			if a.status != 401 || a.problem().Code != api.CodeUnauthenticated || len(a.header["Www-Authenticate"]) != 2 {
				t.Errorf("%s: %s: %d %v", what, line, a.status, a.header)
			}
		}
	}
	s.do(t, "GET /v1/locks", good, good, onPurpose).wantInvalid("Authorization")
	for _, line := range []string{"GET /healthz", "GET /readyz", "GET /metrics", "GET /", "GET /openapi.yaml"} {
		s.do(t, line).want(200)
	}
	if a := s.do(t, "GET /v1/locks", good, header("Host", "locks.example.com")); a.status != 200 {
		t.Errorf("with tokens the name of the host matters: %d", a.status)
	}
	s.do(t, "POST /v1/locks/a/acquire", s.as(t, "b", "admin"), header("Sec-Fetch-Site", "cross-site")).want(403)
}

func TestTokenInTheURLIsRefused(t *testing.T) {
	var logged bytes.Buffer
	s := newServer(t, setup{log: slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})})
	_, good := s.token(t, "alice", "admin")
	secret := strings.TrimPrefix(newRequest("GET /", []option{good}).header.Get("Authorization"), "Bearer ")
	for _, line := range []string{
		"GET /v1/locks?token=" + secret, "GET /v1/locks?access_token=" + secret, "GET /v1/locks?token=guess", "GET /v1/locks?limit=1&Token=x",
		"GET /v1/locks?api_key=x", "GET /v1/locks/" + secret, "POST /v1/locks/" + secret + "/acquire",
	} {
		for _, with := range [][]option{{onPurpose}, {onPurpose, good}} {
			if p := s.do(t, line, with...).wantInvalid("token"); !strings.Contains(p.Want, "Authorization: Bearer") {
				t.Errorf("%s: %s", line, p.Want)
			}
		}
	}
	for line, field := range map[string]string{
		"POST /v1/locks/a/acquire?holder=" + secret: "holder", "POST /v1/locks/a/acquire?reason=see+" + secret: "reason",
		"POST /v1/locks/a/acquire?meta.token=" + secret: "meta", "POST /v1/tokens?account=a&scopes=admin&name=" + secret: "name",
	} {
		s.do(t, line, good, onPurpose).wantInvalid(field)
	}
	s.do(t, "POST /v1/locks/a/acquire", good, jsonBody(`{"metadata":{"x":"`+secret+`"}}`), onPurpose).wantInvalid("meta")
	if strings.Contains(logged.String(), secret) {
		t.Error("it is in the log")
	}
}

// Whatever way a name is written, what counts is what it is.
func TestPathsDoNotTrickScopes(t *testing.T) {
	s, _, bob := teams(t)
	for line, status := range map[string]int{
		"GET /v1/locks/team-b/../team-a/x":                 400,
		"GET /v1/locks/team-b/%2e%2e/team-a/x":             400,
		"GET /v1/locks/team-b//x":                          400,
		"GET /v1/locks//team-b/x":                          400,
		"GET /v1/locks/team-b%2F..%2Fteam-a%2Fx":           400,
		"GET /v1/locks/team-b%2Fx":                         200,
		"GET /v1/locks/team-a%2Fx":                         403,
		"GET /v1/locks/team-b%252Fx":                       400,
		"GET /v1/locks/team-b":                             403,
		"GET /v1/locks/TEAM-B/x":                           403,
		"GET /v1/locks/team-b/x%00":                        400,
		"GET /v1/locks/team-b/x/":                          400,
		"GET /v1/locks/team-b%5C..%5Cteam-a/x":             400,
		"POST /v1/locks/team-a/x/break/../acquire":         400,
		"POST /v1/locks/team-b/x/../../team-a/y/acquire":   400,
		"GET /v1/locks?prefix=team-b/../team-a":            200, // no name begins so
		"GET /v1/locks?prefix=team-b/&after=team-a/x":      200,
		"GET /v1/locks/team-b/x/../../../v1/audit":         400,
		"GET /v1/locks/./team-b/x":                         400,
		"POST /v1/locks/team-a%2Fx%2Facquire":              403,
		"POST /v1/locks/team-b/%2e%2e%2fteam-a/z/acquire":  400,
		"POST /v1/locks/team-b/x%2f..%2f..%2ft-a/acquire":  400,
		"POST /v1/locks/team-b/x;/acquire":                 400,
		"POST /v1/locks/team-b/x%0d%0aX-Evil:%201/acquire": 400,
	} {
		a := s.do(t, line, bob, onPurpose)
		if a.status != status {
			t.Errorf("%s: %d, want %d: %s", line, a.status, status, a.body)
		}
		if bytes.Contains(a.body, []byte("alices")) || a.header.Get("X-Evil") != "" {
			t.Errorf("%s: %s", line, a.body)
		}
	}
}

// Revoking a token wakes and refuses its waiters, and no others.
func TestTokenRevocationRefusesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		holder := s.as(t, "holder", "acquire:**")
		g := s.do(t, "POST /v1/locks/a/acquire?ttl=1h", holder).grant()
		doomed, withDoomed := s.token(t, "doomed", "acquire,read:**")
		other := s.as(t, "other", "acquire:**")
		var answers []chan answer
		for _, with := range []option{withDoomed, withDoomed, other} {
			ch := make(chan answer, 1)
			answers = append(answers, ch)
			go func() { ch <- s.do(t, "POST /v1/locks/a/acquire?wait=10m", with) }()
			synctest.Wait()
		}
		began := time.Now()
		if _, err := s.tokens.Revoke(t.Context(), lock.Origin{}, doomed.ID); err != nil {
			t.Fatal(err)
		}
		for _, ch := range answers[:2] {
			(<-ch).want(401, api.CodeUnauthenticated)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
		s.do(t, "POST /v1/locks/a/release", holder, header("Octostore-Lease", g.LeaseID)).want(200)
		if got := (<-answers[2]).grant(); got.Account != "other" {
			t.Errorf("the lock went to %s", got.Account)
		}
	})
}

// A grant that crosses the end of its token is not given, and taken back.
func TestTokenRevokedBeforeTheGrantGetsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *server
		var id string
		armed := false
		s = newServer(t, setup{lock: table.Config{Published: func() {
			if armed {
				armed = false
				// Revoked after the grant was committed, before the answer was written. The
				// table's loop must not wait for its own record of it.
				go func() { _, _ = s.tokens.Revoke(context.Background(), lock.Origin{}, id) }()
				time.Sleep(time.Millisecond)
			}
		}}})
		made, with := s.token(t, "doomed", "acquire:**")
		id, armed = made.ID, true
		s.do(t, "POST /v1/locks/a/acquire?ttl=1h", with).want(401, api.CodeUnauthenticated)
		synctest.Wait()
		admin := s.as(t, "admin", "admin")
		if got := s.do(t, "GET /v1/locks/a", admin).lock(); got.State != api.Free {
			t.Errorf("it is %+v", got)
		}
		if got := string(s.do(t, "GET /v1/audit?kind=undone", admin).body); !strings.Contains(got, `"undone"`) {
			t.Errorf("nothing was undone: %s", got)
		}
	})
}

// Leases that were acquired by a token that was revoked stay; an administrator may break
// them, and no other account may release them.
func TestTokenRevocationLeavesLeases(t *testing.T) {
	s := newServer(t, setup{})
	doomed, with := s.token(t, "doomed", "acquire:**")
	g := s.do(t, "POST /v1/locks/a/acquire?ttl=1h", with).grant()
	if _, err := s.tokens.Revoke(t.Context(), lock.Origin{}, doomed.ID); err != nil {
		t.Fatal(err)
	}
	lease := header("Octostore-Lease", g.LeaseID)
	s.do(t, "POST /v1/locks/a/release", with, lease).want(401)
	admin := s.as(t, "admin", "admin")
	s.do(t, "POST /v1/locks/a/release", admin, lease).want(409, api.CodeNotHeld)
	s.do(t, "POST /v1/locks/a/renew", admin, lease).want(409, api.CodeNotHeld)
	s.do(t, "POST /v1/locks/a/release", s.as(t, "doomed", "acquire:a"), lease).want(200) // the account is who holds it
	s.do(t, "POST /v1/locks/a/acquire", s.as(t, "doomed", "acquire:a")).want(200)
	s.do(t, "POST /v1/locks/a/break?reason=gone", admin).want(200)
}

// Streams end with the token they came by.
func TestStreamsEndWithTheirToken(t *testing.T) {
	for _, line := range []string{"GET /v1/events", "GET /v1/audit?follow=1"} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, setup{})
				parsed, _ := auth.ParseScopes("read,audit:**")
				_, expiring, err := s.tokens.Create(t.Context(), lock.Origin{}, auth.TokenSpec{Account: "a", Scopes: parsed, Expires: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				doomed, with := s.token(t, "b", "read,audit:**")
				ended := make(chan bool, 2)
				for _, o := range []option{with, header("Authorization", "Bearer "+expiring)} {
					go func() { ended <- serve(s, newSink(), newRequest(line, []option{o}).http()) }()
				}
				synctest.Wait()
				if _, err := s.tokens.Revoke(t.Context(), lock.Origin{}, doomed.ID); err != nil {
					t.Fatal(err)
				}
				if cut := <-ended; !cut {
					t.Error("it ends as if it were complete")
				}
				began := time.Now()
				if cut := <-ended; !cut || time.Since(began) < 59*time.Minute {
					t.Errorf("the one that expires ends after %s", time.Since(began))
				}
			})
		})
	}
}
