package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/octostore/octostore/core/auth"
)

// Bounds of requests to GitHub.
const (
	oneTime   = 5 * time.Second  // for one request
	wholeTime = 15 * time.Second // for one login
	mostBytes = 256 << 10        // in one answer
)

// newClient returns the client for requests to GitHub. It follows no redirects: secrets go only
// where they were sent.
func newClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	return &http.Client{
		Transport:     bounded{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded reads each answer to its end, bounds its size and time, and closes it. Package
// oauth2 leaves some answers open, and sends some requests without a context.
type bounded struct{ http.RoundTripper }

var (
	errTooLarge = fmt.Errorf("the answer is larger than %d bytes", mostBytes)
	errNull     = errors.New("the answer is null") // at which package oauth2 panics
)

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), oneTime)
	defer cancel()
	resp, err := b.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > mostBytes {
		return nil, errTooLarge
	}
	if string(bytes.TrimSpace(body)) == "null" {
		return nil, errNull
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// CloseIdleConnections lets an [http.Client] close them.
func (b bounded) CloseIdleConnections() {
	if c, can := b.RoundTripper.(interface{ CloseIdleConnections() }); can {
		c.CloseIdleConnections()
	}
}

// with returns a context in which package oauth2 uses our client.
func (g *GitHub) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, g.client)
}

// said returns an error in a form fit for the log. An error of GitHub may repeat the request,
// secrets included, so only its code is kept.
func said(err error) string {
	if e, is := errors.AsType[*oauth2.RetrieveError](err); is {
		status := 0
		if e.Response != nil {
			status = e.Response.StatusCode
		}
		return fmt.Sprintf("status %d, error %q", status, plain(e.ErrorCode))
	}
	if e, is := errors.AsType[*url.Error](err); is {
		return e.Err.Error() // without the URL
	}
	return err.Error()
}

// plain returns the code of an error if it has the form of one. No other text of GitHub gets
// into the log.
func plain(code string) string {
	if !goodCode().MatchString(code) {
		return ""
	}
	return code
}

var goodCode = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z_]{1,40}$`) })

// asker queries GitHub's API about the user of a GitHub token. It sends no query twice.
type asker struct {
	g     *GitHub
	token string
	orgs  map[string]membership
}

// membership is the membership of a user in an organisation or a team, as GitHub says it.
type membership struct {
	State        string `json:"state"` // pending until an invitation was accepted
	Organization struct {
		ID int64 `json:"id"`
	} `json:"organization"`
}

func (m membership) active() bool { return m.State == "active" }

// get sends one query. found is false if GitHub says that there is no such thing, or none that
// the token may see.
func (a *asker) get(ctx context.Context, v any, path ...string) (found bool, err error) {
	for i := range path {
		path[i] = url.PathEscape(path[i])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.g.api+"/"+strings.Join(path, "/"), nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", "octostore")
	resp, err := a.g.client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return false, nil
	case http.StatusForbidden:
		if limited(resp.Header) {
			return false, errors.New("GitHub answers nothing more for now: its rate limit is reached")
		}
		return false, nil
	default:
		return false, fmt.Errorf("status %d", resp.StatusCode)
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return false, errors.New("the answer is not the JSON it should be")
	}
	return true, nil
}

// limited reports whether a 403 is about the rate limit, rather than about the query.
func limited(h http.Header) bool {
	return h.Get("Retry-After") != "" || h.Get("X-RateLimit-Remaining") == "0"
}

// user returns the user of the token.
func (a *asker) user(ctx context.Context) (u user, err error) {
	found, err := a.get(ctx, &u, "user")
	switch {
	case err != nil:
		return user{}, err
	case !found:
		return user{}, errors.New("it does not say")
	case !goodName().MatchString(u.Login) || u.ID <= 0 || len(u.account()) > auth.MaxAccount:
		return user{}, errors.New("the answer has no login and number that can be used")
	}
	return u, nil
}

// scopes returns what a user may do: the scopes of all entries for the user, and for the
// organisations and teams of which the user is a member. The zero Scopes: the user may not log
// in. groups are those organisations and teams, for policies, as [lock.Actor] has them.
func (a *asker) scopes(ctx context.Context, u user) (_ auth.Scopes, groups string, _ error) {
	var all []string
	members := a.g.allow.groups()
	for i := range a.g.allow.entries {
		e := &a.g.allow.entries[i]
		applies, err := a.applies(ctx, e, u)
		if err != nil {
			return auth.Scopes{}, "", err
		}
		members.learn(e, applies)
		if applies && !slices.Contains(all, e.scopes) {
			all = append(all, e.scopes)
		}
	}
	if len(all) == 0 {
		return auth.Scopes{}, "", nil
	}
	scopes, err := auth.ParseScopes(strings.Join(all, " "))
	return scopes, members.text(), err
}

func (a *asker) applies(ctx context.Context, e *entry, u user) (bool, error) {
	if e.kind == kindUser {
		return e.isAbout(u), nil
	}
	m, err := a.org(ctx, e.name)
	if err != nil || !m.active() || e.id != 0 && e.id != m.Organization.ID {
		return false, err
	}
	if e.kind == kindOrg {
		return true, nil
	}
	var team membership
	found, err := a.get(ctx, &team, "orgs", e.name, "teams", e.team, "memberships", u.Login)
	return found && team.active(), err
}

func (a *asker) org(ctx context.Context, name string) (membership, error) {
	key := strings.ToLower(name)
	if m, known := a.orgs[key]; known {
		return m, nil
	}
	var m membership
	found, err := a.get(ctx, &m, "user", "memberships", "orgs", name)
	if err != nil {
		return membership{}, err
	}
	if !found {
		m = membership{}
	}
	if a.orgs == nil {
		a.orgs = map[string]membership{}
	}
	a.orgs[key] = m
	return m, nil
}
