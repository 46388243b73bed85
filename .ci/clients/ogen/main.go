// Command ogen calls every operation of a server by a client that ogen has made of
// openapi.yaml, and prints what each was answered with. The client refuses every answer that
// is not as described.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"time"

	"github.com/ogen-go/ogen/ogenerrors"

	"clients/api"
)

type token string

func (t token) Bearer(context.Context, api.OperationName) (api.Bearer, error) {
	return api.Bearer{Token: string(t)}, nil
}

func (token) Basic(context.Context, api.OperationName) (api.Basic, error) {
	return api.Basic{}, ogenerrors.ErrSkipClientSecurity
}

// browser keeps cookies and does not follow.
var browser = func() *http.Client {
	jar, _ := cookiejar.New(nil)
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}()

// got returns an answer that has to be of type T.
func got[T any](operation string, answer any, err error) T {
	if err != nil {
		fail("%s: %v", operation, err)
	}
	wanted, is := answer.(T)
	if !is {
		fail("%s: got a %T, want a %T: %+v", operation, answer, wanted, answer)
	}
	fmt.Println(operation)
	return wanted
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := api.NewClient(os.Getenv("CLIENT_URL"), token(os.Getenv("CLIENT_TOKEN")), api.WithClient(browser))
	if err != nil {
		fail("%v", err)
	}
	locks(ctx, c)
	reads(ctx, c)
	tokens(ctx, c)
	logins(ctx, c)
	drained(ctx, c)
}

func seconds(n float64) api.OptDurationJSON {
	return api.NewOptDurationJSON(api.NewFloat64DurationJSON(n))
}

func locks(ctx context.Context, c *api.Client) {
	const name = "team-a/generated"
	r, err := c.AcquireLock(ctx, &api.AcquireBody{TTL: seconds(60), Holder: api.NewOptHolder("ogen"), Metadata: api.NewOptMetadata(api.Metadata{"ticket": "OPS-7"})}, api.AcquireLockParams{Name: name})
	grant := got[*api.GrantHeaders]("acquireLock", r, err).Response
	lease := api.NewOptString(grant.LeaseID)
	l, err := c.GetLock(ctx, api.GetLockParams{Name: name})
	if held := got[*api.LockHeaders]("getLock", l, err).Response; held.Lease.Value.Holder != "ogen" {
		fail("getLock: %+v", held)
	}
	all, err := c.ListLocks(ctx, api.ListLocksParams{Prefix: api.NewOptString("team-a/")})
	if found := got[*api.ListHeaders]("listLocks", all, err).Response; len(found.Locks) != 1 {
		fail("listLocks: %+v", found)
	}
	again, err := c.AcquireLock(ctx, &api.AcquireLockReqEmptyBody{}, api.AcquireLockParams{Name: name})
	got[*api.AcquireConflictHeaders]("acquireLock", again, err)
	n, err := c.RenewLock(ctx, &api.RenewBody{LeaseID: lease, TTL: seconds(90)}, api.RenewLockParams{Name: name})
	got[*api.GrantHeaders]("renewLock", n, err)
	e, err := c.ReleaseLock(ctx, &api.ReleaseBody{LeaseID: lease}, api.ReleaseLockParams{Name: name})
	got[*api.EndedHeaders]("releaseLock", e, err)
	r, err = c.AcquireLock(ctx, &api.AcquireLockReqEmptyBody{}, api.AcquireLockParams{Name: name})
	grant = got[*api.GrantHeaders]("acquireLock", r, err).Response
	b, err := c.BreakLock(ctx, &api.BreakBody{Reason: api.NewOptReason("stuck")}, api.BreakLockParams{Name: name, FencingToken: api.NewOptFencingToken(grant.FencingToken)})
	got[*api.BreakLockOKApplicationJSONHeaders]("breakLock", b, err)
	terraform(ctx, c)
}

func terraform(ctx context.Context, c *api.Client) {
	const name = "team-a/state"
	info := api.TerraformLockInfo{
		ID: "5b2ae0c4-6e1b-4b57-9a5e-0c2f6f1d7a10", Operation: api.NewOptString("OperationTypeApply"), Info: api.NewOptString(""),
		Who: api.NewOptString("ogen@ci"), Version: api.NewOptString("1.9.0"), Created: api.NewOptString("2026-11-27T14:30:00Z"), Path: api.NewOptString(""),
	}
	l, err := c.LockTerraform(ctx, &info, api.LockTerraformParams{Name: name})
	got[*api.GrantHeaders]("lockTerraform", l, err)
	other := api.TerraformLockInfo{ID: "c0a9d1c8-2f60-4a0e-8d7c-51e7b9f3a2d4"}
	l, err = c.LockTerraform(ctx, &other, api.LockTerraformParams{Name: name})
	if holder := got[*api.LockedHeaders]("lockTerraform", l, err).Response; holder.ID != info.ID || holder.Who != "ogen@ci" {
		fail("lockTerraform: %+v", holder)
	}
	u, err := c.UnlockTerraform(ctx, api.NewOptTerraformLockInfo(info), api.UnlockTerraformParams{Name: name})
	got[*api.EndedHeaders]("unlockTerraform", u, err)
}

func reads(ctx context.Context, c *api.Client) {
	i, err := c.Index(ctx)
	got[*api.IndexOKTextPlainHeaders]("index", i, err)
	h, err := c.Health(ctx)
	got[*api.HealthHeaders]("health", h, err)
	ready, err := c.Ready(ctx, api.ReadyParams{Grants: api.NewOptReadyGrants("1")})
	got[*api.ReadyHeaders]("ready", ready, err)
	m, err := c.Metrics(ctx)
	got[*api.TextHeaders]("metrics", m, err)
	o, err := c.Openapi(ctx)
	got[*api.OpenapiOKHeaders]("openapi", o, err)
	p, err := c.ListPolicies(ctx, api.ListPoliciesParams{})
	got[*api.PolicyListHeaders]("listPolicies", p, err)
	x, err := c.ExplainPolicies(ctx, api.ExplainPoliciesParams{Name: "team-a/x"})
	got[*api.ExplanationHeaders]("explainPolicies", x, err)
	l, err := c.ReloadPolicies(ctx, &api.ReasonBody{Reason: api.NewOptReason("OPS-7")}, api.ReloadPoliciesParams{})
	got[*api.ReloadedHeaders]("reloadPolicies", l, err)
	l, err = c.ReloadPolicies(ctx, &api.ReloadPoliciesReqEmptyBody{}, api.ReloadPoliciesParams{})
	got[*api.ReloadedHeaders]("reloadPolicies", l, err)
	who, err := c.Whoami(ctx, api.WhoamiParams{})
	if me := got[*api.WhoamiHeaders]("whoami", who, err).Response; me.Account == "" || !me.Tokens {
		fail("whoami: %+v", me)
	}
	now, err := c.ShowActivity(ctx, api.ShowActivityParams{})
	got[*api.ActivityHeaders]("showActivity", now, err)
	state, err := c.AuditState(ctx, api.AuditStateParams{})
	if log := got[*api.AuditStateHeaders]("auditState", state, err).Response; log.Head == 0 {
		fail("auditState: %+v", log)
	}
	server, err := c.Server(ctx, api.ServerParams{})
	got[*api.ServerHeaders]("server", server, err)
	a, err := c.ReadAudit(ctx, api.ReadAuditParams{Limit: api.NewOptInt(5)})
	text("readAudit", got[*api.ReadAuditOKApplicationXNdjsonHeaders]("readAudit", a, err).Response)
	doc, err := c.Reference(ctx, api.ReferenceParams{})
	text("reference", got[*api.ReferenceOKHeaders]("reference", doc, err).Response)
	script, err := c.Page(ctx, api.PageParams{File: "app.js"})
	text("page", got[*api.PageOKTextJavascriptHeaders]("page", script, err).Response)
	backup, err := c.GetBackup(ctx, api.GetBackupParams{})
	text("getBackup", got[*api.GetBackupOKHeaders]("getBackup", backup, err).Response)
	stream(ctx, "watchEvents", func(ctx context.Context) (any, error) { return c.WatchEvents(ctx, api.WatchEventsParams{}) })
	stream(ctx, "showLive", func(ctx context.Context) (any, error) {
		return c.ShowLive(ctx, api.ShowLiveParams{Show: api.NewOptString("locks,activity"), LastEventID: api.NewOptString("2026-11-27T14:30:00Z")})
	})
}

// text reads an answer, which may not be empty.
func text(operation string, answer io.Reader) {
	if b, err := io.ReadAll(answer); err != nil || len(b) == 0 {
		fail("%s: %q, %v", operation, b, err)
	}
}

// stream calls an operation whose answer goes on for ever, for a second.
func stream(ctx context.Context, operation string, call func(context.Context) (any, error)) {
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	answer, err := call(soon)
	if !errors.Is(err, context.DeadlineExceeded) {
		fail("%s: it ended with %+v, %v", operation, answer, err)
	}
	fmt.Println(operation)
}

func tokens(ctx context.Context, c *api.Client) {
	made, err := c.CreateToken(ctx, &api.CreateTokenBody{Account: api.NewOptAccount("ci"), Scopes: api.NewOptScopes("acquire:team-a/**"), Expires: seconds(600)}, api.CreateTokenParams{})
	first := got[*api.NewTokenHeaders]("createToken", made, err).Response
	rotated, err := c.RotateToken(ctx, &api.RotateTokenBody{Grace: seconds(60)}, api.RotateTokenParams{ID: first.ID})
	second := got[*api.NewTokenHeaders]("rotateToken", rotated, err).Response
	all, err := c.ListTokens(ctx, api.ListTokensParams{})
	got[*api.TokenListHeaders]("listTokens", all, err)
	gone, err := c.RevokeToken(ctx, api.RevokeTokenParams{ID: first.ID})
	got[*api.TokenHeaders]("revokeToken", gone, err)
	as, err := api.NewClient(os.Getenv("CLIENT_URL"), token(second.Token))
	if err != nil {
		fail("%v", err)
	}
	out, err := as.Logout(ctx, &api.NoBody{}, api.LogoutParams{})
	got[*api.TokenHeaders]("logout", out, err)
}

func logins(ctx context.Context, c *api.Client) {
	d, err := c.BeginDeviceLogin(ctx, &api.NoBody{}, api.BeginDeviceLoginParams{})
	device := got[*api.DeviceLoginHeaders]("beginDeviceLogin", d, err).Response
	for done := false; !done; time.Sleep(200 * time.Millisecond) {
		p, err := c.PollDeviceLogin(ctx, &api.PollLoginBody{DeviceID: api.NewOptString(device.DeviceID)}, api.PollDeviceLoginParams{})
		done = got[*api.LoginHeaders]("pollDeviceLogin", p, err).Response.Status == api.LoginStatusComplete
	}
	b, err := c.BeginGitHubLogin(ctx, api.BeginGitHubLoginParams{})
	begun := got[*api.BeginGitHubLoginSeeOther]("beginGitHubLogin", b, err)
	resp, err := browser.Get(begun.Location) // GitHub sends the browser back at once
	if err != nil {
		fail("%v", err)
	}
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil {
		fail("%v", err)
	}
	code, state := api.NewOptString(back.Query().Get("code")), api.NewOptString(back.Query().Get("state"))
	landed, err := c.GitHubCallback(ctx, api.GitHubCallbackParams{Code: code, State: state})
	got[*api.PageHeaders]("gitHubCallback", landed, err)
	f, err := c.FinishGitHubLogin(ctx, &api.FinishLoginBody{Code: code, State: state}, api.FinishGitHubLoginParams{})
	got[*api.PageHeaders]("finishGitHubLogin", f, err)
}

// drained is the last of all: no lock is granted afterwards.
func drained(ctx context.Context, c *api.Client) {
	d, err := c.Drain(ctx, &api.ReasonBody{Reason: api.NewOptReason("an upgrade")}, api.DrainParams{})
	if first := got[*api.DrainHeaders]("drain", d, err).Response; first.Already {
		fail("drain: %+v", first)
	}
	d, err = c.Drain(ctx, &api.DrainReqEmptyBody{}, api.DrainParams{})
	if second := got[*api.DrainHeaders]("drain", d, err).Response; !second.Already {
		fail("drain: %+v", second)
	}
	r, err := c.AcquireLock(ctx, &api.AcquireLockReqEmptyBody{}, api.AcquireLockParams{Name: "team-a/late"})
	got[*api.UnavailableHeaders]("acquireLock", r, err)
}
