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
}

func reads(ctx context.Context, c *api.Client) {
	i, err := c.Index(ctx)
	got[*api.TextHeaders]("index", i, err)
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
	l, err := c.ReloadPolicies(ctx, &api.NoBody{}, api.ReloadPoliciesParams{})
	got[*api.ReloadedHeaders]("reloadPolicies", l, err)
	a, err := c.ReadAudit(ctx, api.ReadAuditParams{Limit: api.NewOptInt(5)})
	text, err := io.ReadAll(got[*api.ReadAuditOKApplicationXNdjsonHeaders]("readAudit", a, err).Response.Data)
	if err != nil || len(text) == 0 {
		fail("readAudit: %q, %v", text, err)
	}
	soon, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	w, err := c.WatchEvents(soon, api.WatchEventsParams{})
	if errors.Is(err, context.DeadlineExceeded) { // it goes on for ever
		fmt.Println("watchEvents")
		return
	}
	got[*api.WatchEventsOKHeaders]("watchEvents", w, err)
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
