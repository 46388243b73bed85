package transport

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/memory"
	"github.com/octostore/octostore/transport/api"
)

// IDs of lock infos, as Terraform makes them.
const (
	firstID  = "9dadb095-532f-80fa-7a3e-387cfc948a26"
	secondID = "ffe913f3-359c-8bcf-89ac-49a62bf0d4b4"
	thirdID  = "93afd661-ae88-ca24-6978-06d8c1527fb6"
)

func lockInfoBody(id string) option { return jsonBody(terraformInfo(id)) }

func (a answer) lockedBy() api.TerraformLock {
	a.t.Helper()
	return decode[api.TerraformLock](a.want(423))
}

// asTerraform returns the credentials of an account in the form in which Terraform sends them.
func (s *server) asTerraform(t testing.TB, account, scopes string) option {
	t.Helper()
	bearer := newRequest("", []option{s.as(t, account, scopes)}).header.Get("Authorization")
	secret := strings.TrimPrefix(bearer, "Bearer ")
	return header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("terraform:"+secret)))
}

func TestTerraformUnlocksOnlyItsOwnAccount(t *testing.T) {
	s := newServer(t, setup{})
	alice, bob := s.asTerraform(t, "alice", "acquire,read:tf/**"), s.asTerraform(t, "bob", "acquire,read:tf/**")
	s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(firstID), alice).want(200)
	if by := s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(secondID), bob).lockedBy(); by.ID != firstID {
		t.Fatalf("bob is told the ID %q, want %q", by.ID, firstID)
	}
	s.do(t, "UNLOCK /v1/terraform/tf/a", lockInfoBody(firstID), bob).want(409, api.CodeNotHeld)
	s.do(t, "UNLOCK /v1/terraform/tf/a", bob).want(403, api.CodeForbidden)
	// Nor does the ID of another account's attempt get its lease.
	if by := s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(firstID), bob).lockedBy(); by.ID != firstID {
		t.Errorf("bob with the ID of alice is told the ID %q", by.ID)
	}
	s.do(t, "UNLOCK /v1/terraform/tf/a", lockInfoBody(secondID), alice).want(409, api.CodeNotHeld)
	s.do(t, "UNLOCK /v1/terraform/tf/a", lockInfoBody(firstID), alice).want(200)
	s.do(t, "UNLOCK /v1/terraform/tf/a", lockInfoBody(firstID), bob).want(409, api.CodeNotHeld)
	s.do(t, "UNLOCK /v1/terraform/tf/a", lockInfoBody(firstID), alice).want(200)
}

func TestTerraformForceUnlockNeedsTheScopeBreak(t *testing.T) {
	synctest.Test(t, testForceUnlock)
}

func testForceUnlock(t *testing.T) {
	s := newServer(t, setup{})
	alice, operator := s.asTerraform(t, "alice", "acquire,read:tf/**"), s.asTerraform(t, "operator", "break:tf/**")
	token := s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(firstID), alice).grant().FencingToken
	// An ID that is not that of the present lease breaks nothing.
	s.do(t, "UNLOCK /v1/terraform/tf/a", lockInfoBody(secondID), operator).want(409, api.CodeNotHeld)
	s.do(t, "UNLOCK /v1/terraform/tf/a", alice).want(403, api.CodeForbidden)
	if ended := decode[api.Ended](s.do(t, "UNLOCK /v1/terraform/tf/a", lockInfoBody(firstID), operator).want(200)); ended.FencingToken != token {
		t.Errorf("the lease %d was broken, want %d", ended.FencingToken, token)
	}
	s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(thirdID), alice).want(200)
	// An empty body does not say which lease it means, so it is not one that has just begun.
	time.Sleep(newLease - time.Millisecond)
	s.do(t, "UNLOCK /v1/terraform/tf/a", operator).want(409, api.CodeNotHeld)
	time.Sleep(time.Millisecond)
	s.do(t, "UNLOCK /v1/terraform/tf/a", operator).want(200)
	s.do(t, "UNLOCK /v1/terraform/tf/a", lockInfoBody(thirdID), alice).want(409, api.CodeNotHeld)
	_, records, _ := s.do(t, "GET /v1/audit?kind=broken", s.as(t, "auditor", "audit:**")).lines()
	if len(records) != 2 || records[0].Cause != "unlocked by force by Terraform" || records[0].By != "operator" || records[0].Account != "alice" {
		t.Errorf("on record: %v", records)
	}
}

func TestTerraformForceUnlockAfterAClockSetBack(t *testing.T) {
	for granted, spared := range map[time.Duration]bool{-time.Hour: false, -newLease: false, -time.Second: true, time.Hour: false} {
		if err := isNotNew(&lock.Lease{GrantedAt: time.Now().Add(granted)}); (err != nil) != spared {
			t.Errorf("granted %s from now: %v, want spared: %t", granted, err, spared)
		}
	}
}

// The release by ID is on record as one by lease id is.
func TestTerraformUnlockIsOnRecord(t *testing.T) {
	s := newServer(t, setup{})
	alice := s.asTerraform(t, "alice", "acquire:tf/**")
	s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(firstID), alice).want(200)
	s.do(t, "UNLOCK /v1/terraform/tf/a", lockInfoBody(firstID), alice, header("X-Request-Id", "unlock-1")).want(200)
	s.do(t, "UNLOCK /v1/terraform/tf/a", lockInfoBody(firstID), alice, header("X-Request-Id", "unlock-2")).want(200)
	_, records, _ := s.do(t, "GET /v1/audit?kind=released", s.as(t, "auditor", "audit:**")).lines()
	if len(records) != 1 {
		t.Fatalf("%d releases are on record", len(records))
	}
	if r := records[0]; r.Name != "tf/a" || r.Account != "alice" || r.By != "" || r.TokenID == "" || r.RequestID != "unlock-1" || r.Cause != "" || r.Metadata["terraform.id"] != firstID {
		t.Errorf("on record: %+v", r)
	}
}

// A lease of another client has an ID that a force-unlock takes, and an unlock does not.
func TestTerraformIsToldOfOtherClients(t *testing.T) {
	s := newServer(t, setup{})
	alice, operator := s.as(t, "alice", "acquire,read:tf/**"), s.asTerraform(t, "operator", "acquire,read,break:tf/**")
	grant := s.do(t, "POST /v1/locks/tf/a/acquire?reason=by+hand&holder=ci-1", alice, header("Idempotency-Key", secondID)).grant()
	by := s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(firstID), alice).lockedBy()
	if want := fmt.Sprintf("octostore-%d", grant.FencingToken); by.ID != want || by.Who != "ci-1" || by.Info != "by hand" || !by.Created.Equal(grant.GrantedAt) {
		t.Errorf("got %+v, want the ID %s", by, want)
	}
	s.do(t, "UNLOCK /v1/terraform/tf/a", jsonBody(`{"ID":"`+by.ID+`"}`), alice).want(409, api.CodeNotHeld)
	s.do(t, "UNLOCK /v1/terraform/tf/a", jsonBody(`{"ID":"`+by.ID+`"}`), operator).want(200)

	s.do(t, "POST /v1/locks/tf/a/acquire", alice).want(200)
	if by := s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(firstID), alice).lockedBy(); by.Who != "account alice" {
		t.Errorf("a lease without holder is that of %q", by.Who)
	}
}

func TestTerraformThatMayNotReadIsToldNothing(t *testing.T) {
	s := newServer(t, setup{})
	alice, bob := s.asTerraform(t, "alice", "acquire,read:tf/**"), s.asTerraform(t, "bob", "acquire:tf/**")
	s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(firstID), alice).want(200)
	if by := s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(secondID), bob).lockedBy(); by.ID != "unknown" || by.Who != "" || by.Info == "" {
		t.Errorf("got %+v", by)
	}
	s.do(t, "LOCK /v1/terraform/other", lockInfoBody(secondID), bob).want(403, api.CodeForbidden)
	s.do(t, "UNLOCK /v1/terraform/other", lockInfoBody(secondID), bob).want(403, api.CodeForbidden)
	s.do(t, "LOCK /v1/terraform/tf/a", lockInfoBody(secondID)).want(401, api.CodeUnauthenticated)
}

func TestTerraformLocksSurviveARestart(t *testing.T) {
	store := memory.New()
	before := newServer(t, setup{store: store})
	before.do(t, "LOCK /v1/terraform/a?ttl=30m", lockInfoBody(firstID)).want(200)
	before.do(t, "LOCK /v1/terraform/b?ttl=30m", lockInfoBody(secondID)).want(200)
	info := before.do(t, "LOCK /v1/terraform/a", lockInfoBody(thirdID)).lockedBy()
	if err := before.table.Close(); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, setup{store: store})
	if again := s.do(t, "LOCK /v1/terraform/a", lockInfoBody(thirdID)).lockedBy(); again != info {
		t.Errorf("after the restart %+v, before it %+v", again, info)
	}
	s.do(t, "LOCK /v1/terraform/a?ttl=30m", lockInfoBody(firstID)).want(200)
	s.do(t, "UNLOCK /v1/terraform/b", lockInfoBody(firstID)).want(409, api.CodeNotHeld)
	s.do(t, "UNLOCK /v1/terraform/a", lockInfoBody(firstID)).want(200)
	s.do(t, "UNLOCK /v1/terraform/a", lockInfoBody(firstID)).want(200)
}

func TestTerraformUnlockIsAnsweredAgainForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		s.do(t, "LOCK /v1/terraform/a", lockInfoBody(firstID)).want(200)
		s.do(t, "UNLOCK /v1/terraform/a", lockInfoBody(firstID)).want(200)
		s.do(t, "LOCK /v1/terraform/a?ttl=20m", lockInfoBody(secondID)).want(200)
		time.Sleep(10*time.Minute - time.Millisecond)
		s.do(t, "UNLOCK /v1/terraform/a", lockInfoBody(firstID)).want(200)
		time.Sleep(time.Millisecond)
		s.do(t, "UNLOCK /v1/terraform/a", lockInfoBody(firstID)).want(409, api.CodeNotHeld)
		if by := s.do(t, "LOCK /v1/terraform/a", lockInfoBody(thirdID)).lockedBy(); by.ID != secondID {
			t.Errorf("held under the ID %q, want %q", by.ID, secondID)
		}
	})
}

// A waiter whose connection was cut keeps its place for ten seconds, in which the backend asks
// again.
func TestTerraformKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, setup{})
		s.do(t, "LOCK /v1/terraform/a?ttl=1h", lockInfoBody(firstID)).want(200)
		ctx, cut := context.WithCancel(t.Context())
		go s.do(t, "LOCK /v1/terraform/a?wait=9m", lockInfoBody(secondID), during(ctx))
		synctest.Wait()
		third := make(chan answer)
		go func() { third <- s.do(t, "LOCK /v1/terraform/a?wait=9m", lockInfoBody(thirdID)) }()
		synctest.Wait()
		cut()
		time.Sleep(9 * time.Second)
		second := make(chan answer)
		go func() { second <- s.do(t, "LOCK /v1/terraform/a?wait=9m", lockInfoBody(secondID)) }()
		synctest.Wait()
		s.do(t, "UNLOCK /v1/terraform/a", lockInfoBody(firstID)).want(200)
		(<-second).want(200)
		s.do(t, "UNLOCK /v1/terraform/a", lockInfoBody(secondID)).want(200)
		(<-third).want(200)
	})
}

func TestTerraformTTL(t *testing.T) {
	s := newServer(t, setup{core: core.Config{MaxTTL: 2 * time.Hour}})
	s.do(t, "LOCK /v1/terraform/a?ttl=121m", lockInfoBody(firstID), onPurpose).wantInvalid("ttl")
	s.do(t, "LOCK /v1/terraform/a?ttl=0", lockInfoBody(firstID), onPurpose).wantInvalid("ttl")
	if got := s.do(t, "LOCK /v1/terraform/a", lockInfoBody(firstID)).grant().TTLMS; got != (2 * time.Hour).Milliseconds() {
		t.Errorf("without a ttl the lease has %d ms", got)
	}
	if got := s.do(t, "LOCK /v1/terraform/b?ttl=90", lockInfoBody(firstID)).grant().TTLMS; got != 90_000 {
		t.Errorf("with ttl=90 the lease has %d ms", got)
	}
}

// shortening is a guard that caps the ttl of every lease.
type shortening time.Duration

func (shortening) Covers(hook core.Hook, _ lock.Name) bool { return hook == core.HookAcquire }

func (most shortening) Judge(context.Context, core.Question) (core.Decision, error) {
	return core.Decision{TTL: time.Duration(most)}, nil
}

// Terraform does not read how long its lease is: it gets the ttl it asks for, or none.
func TestTerraformTTLIsNotShortenedByPolicies(t *testing.T) {
	s := newServer(t, setup{core: core.Config{Guard: shortening(10 * time.Minute)}})
	s.do(t, "LOCK /v1/terraform/a?ttl=1h", lockInfoBody(firstID), onPurpose).wantInvalid("ttl")
	if state := s.do(t, "GET /v1/locks/a").lock().State; state != api.Free {
		t.Errorf("the lock is %s", state)
	}
	s.do(t, "LOCK /v1/terraform/a?ttl=10m", lockInfoBody(secondID)).want(200)
	if got := s.do(t, "LOCK /v1/terraform/b", lockInfoBody(secondID)).grant().TTLMS; got != 600_000 {
		t.Errorf("without a ttl the lease has %d ms", got)
	}
}

// fullOnRelease is a store whose disk is full when a lease is to be released.
type fullOnRelease struct {
	journal.Store
	refused int
}

func (s *fullOnRelease) Commit(ctx context.Context, b *lock.Batch) error {
	if b.Events[0].Kind == lock.Released {
		s.refused++
		return lock.ErrFull
	}
	return s.Store.Commit(ctx, b)
}

func TestTerraformTTLThatIsShortenedIsNotKeptOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fullOnRelease{Store: memory.New()}
		s := newServer(t, setup{store: store, core: core.Config{Guard: shortening(10 * time.Minute)}})
		s.do(t, "LOCK /v1/terraform/a?ttl=1h", lockInfoBody(firstID)).want(507, api.CodeStorageFull)
		if time.Sleep(11 * time.Second); store.refused != 1 {
			t.Errorf("%d releases were refused, want one", store.refused)
		}
		if state := s.do(t, "GET /v1/locks/a").lock().State; state != api.Free {
			t.Errorf("the lock is %s, and no client knows of its lease", state)
		}
	})
}

func TestTerraformIsDeniedByPolicies(t *testing.T) {
	s := newServer(t, setup{core: core.Config{Guard: refusing{&core.DeniedError{Policy: "freeze", Reason: "not before Monday"}}}})
	s.do(t, "LOCK /v1/terraform/a", lockInfoBody(firstID)).want(403, api.CodePolicyDenied)
	if kinds := s.do(t, "GET /v1/audit?kind=denied"); !strings.Contains(string(kinds.body), `"terraform.id":"`+firstID+`"`) {
		t.Errorf("the denial is not on record with the lock info: %s", kinds.body)
	}
}

func TestTerraformLockInfoIsChecked(t *testing.T) {
	s := newServer(t, setup{})
	id := `"ID":"` + firstID + `"`
	for body, field := range map[string]string{
		`{`:                                   "body",
		`[]`:                                  "body",
		`null`:                                "body",
		`ID=` + firstID:                       "body",
		`{` + id + `}{}`:                      "body",
		`{` + id + `,"Who":"` + "\xff" + `"}`: "body",
		`{}`:                                  "ID",
		`{"ID":""}`:                           "ID",
		`{"ID":null}`:                         "ID",
		`{"ID":7}`:                            "ID",
		`{"id":"` + firstID + `"}`:            "ID",
		`{"ID":"123456789012345"}`:            "ID",
		`{"ID":"` + long(129) + `"}`:          "ID",
		`{"ID":"1234567890 1234567890"}`:      "ID",
		`{"ID":"ä234567890123456"}`:           "ID",
		`{` + id + `,` + id + `}`:             "ID",
		`{` + id + `,"Who":{}}`:               "Who",
		`{` + id + `,"Who":"a","Who":"a"}`:    "Who",
		`{` + id + `,"Created":"yesterday"}`:  "Created",
		`{` + id + `,"Created":"9999-12-31T23:59:59-01:00"}`: "Created",
		`{` + id + `,"Created":"0000-01-01T00:00:00+01:00"}`: "Created",
		`{` + id + `,"Info":"` + auth.NewSecret() + `"}`:     "Info",
	} {
		a := s.do(t, "LOCK /v1/terraform/checked", jsonBody(body), onPurpose)
		t.Run(body[:min(len(body), 60)], func(t *testing.T) { a.t = t; a.wantInvalid(field) })
	}
	s.do(t, "LOCK /v1/terraform/checked", jsonBody(`{`+id+`,"Info":"`+long(17<<10)+`"}`), onPurpose).want(413, api.CodeTooLarge)
	s.do(t, "LOCK /v1/terraform/checked", lockInfoBody(firstID), header("Content-Encoding", "gzip"), onPurpose).wantInvalid("Content-Encoding")
	s.do(t, "LOCK /v1/terraform/checked", lockInfoBody(secondID), header("Idempotency-Key", secondID), onPurpose).wantInvalid("Idempotency-Key")
	s.do(t, "LOCK /v1/terraform/checked?meta.terraform.id=x", lockInfoBody(secondID), onPurpose).wantInvalid("meta.terraform.id")
	s.do(t, "LOCK /v1/terraform/checked?holder=x", lockInfoBody(secondID), onPurpose).wantInvalid("holder")
}

// Whatever the texts of a lock info are, the lock is had and the next client can read the 423.
func TestTerraformLockInfoOfStrangeTexts(t *testing.T) {
	s := newServer(t, setup{})
	s.do(t, "LOCK /v1/terraform/a", jsonBody(`{"ID":"`+firstID+`","Who":"`+strings.Repeat("ä", 200)+`","Operation":"a\nb\u202e\u0000","Info":"`+
		strings.Repeat("i", 3000)+`","Path":"\ud800","Version":"<&>","Created":"2026-11-27T17:11:09+01:00","Later":{"ID":["x",{}]}}`)).want(200)
	by := s.do(t, "LOCK /v1/terraform/a", lockInfoBody(secondID)).lockedBy()
	want := api.TerraformLock{
		ID: firstID, Who: strings.Repeat("ä", 126) + "…", Operation: "a\ufffdb\ufffd\ufffd", Info: strings.Repeat("i", 509) + "…",
		Path: "\ufffd", Version: "<&>", Created: time.Date(2026, 11, 27, 16, 11, 9, 0, time.UTC),
	}
	if by != want {
		t.Errorf("got  %+v\nwant %+v", by, want)
	}
	if l := s.do(t, "GET /v1/locks/a").lock().Lease; l.Holder != want.Who || !strings.HasPrefix(l.Reason, "a\ufffdb\ufffd\ufffd: iii") || len(l.Reason) > 512 {
		t.Errorf("the lease: %+v", l)
	}
}

// An unlock counts as a release, whose limit is twice as high. A LOCK never does, whatever its
// name ends in.
func TestTerraformUnlockIsSpared(t *testing.T) {
	for line, want := range map[string]bool{
		"UNLOCK /v1/terraform/a": true, "DELETE /v1/terraform/a": true, "LOCK /v1/terraform/a": false,
		"LOCK /v1/terraform/a/release": false, "POST /v1/terraform/a/renew": false, "POST /v1/locks/a/release": true,
	} {
		if got := isSpared(newRequest(line, nil).http()); got != want {
			t.Errorf("%s is spared: %t", line, got)
		}
	}
}
