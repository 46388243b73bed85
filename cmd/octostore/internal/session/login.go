package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// LogIn logs in with GitHub to the chosen server, and keeps the token. With a profile it keeps
// it there, and makes the profile if there is none of this name. It prints instructions to w,
// and returns when the login has succeeded or expired.
func (s Server) LogIn(ctx context.Context, w io.Writer) error {
	d, err := s.destination()
	if err != nil {
		return err
	}
	c, err := d.client()
	if err != nil {
		return err
	}
	shown := Redacted(d.url)
	d.warnIfReadable(w)
	login, err := c.BeginLogin(ctx)
	if err != nil {
		return fmt.Errorf("log in to %s: %w", shown, err)
	}
	fmt.Fprintf(w, "Open %s and type in this code: %s\n", login.VerificationURI, login.UserCode)
	t, err := awaitLogin(ctx, c, login)
	if err != nil {
		return fmt.Errorf("log in to %s: %w", shown, err)
	}
	path, err := d.keep(Credential{Token: t.Secret, Account: t.Account, ExpiresAt: t.ExpiresAt})
	if err != nil {
		d.revoke(ctx, t.Secret)
		return err
	}
	if d.kept.Token != "" {
		d.revoke(ctx, d.kept.Token)
	}
	fmt.Fprintf(
		w,
		"Logged in to %s as %s, until %s. You may: %s\nThe token is in %s.\n",
		shown,
		t.Account,
		text.Day(t.ExpiresAt, "you log out"),
		t.Scopes,
		path,
	)
	d.sayWhenUsed(w)
	return nil
}

// LogInWith keeps a token that an administrator has made, in place of one from a login with
// GitHub. It refuses a token that the server does not know.
func (s Server) LogInWith(ctx context.Context, w io.Writer, token string) error {
	d, err := s.destination()
	if err != nil {
		return err
	}
	token = strings.TrimSpace(token)
	if token == "" || strings.ContainsFunc(token, notInToken) {
		return exitcode.Usagef("the standard input does not have a token alone on its first line")
	}
	return d.keepGiven(ctx, w, token, Credential{Token: token})
}

// LogInFrom makes a profile whose commands read their token from a file.
func (s Server) LogInFrom(ctx context.Context, w io.Writer) error {
	if s.Profile == "" {
		return exitcode.Usagef("want --profile NAME beside --token-file: only a profile remembers the path of a token file")
	}
	path, err := filepath.Abs(s.TokenFile)
	if err != nil {
		return err
	}
	s.TokenFile = path
	d, err := s.destination()
	if err != nil {
		return err
	}
	d.token, d.tokenFile, d.tokenFrom = "", path, "--token-file"
	token, err := d.secret()
	if err != nil {
		return err
	}
	return d.keepGiven(ctx, w, token, Credential{})
}

// warnIfReadable warns of a server that gets its token without TLS, over a network.
func (d destination) warnIfReadable(w io.Writer) {
	if strings.HasPrefix(serverKey(d.url), "http:") && !onThisMachine(d.url) {
		fmt.Fprintf(w, "octostore: warning: the token will go to %s as it is, where others may read it on the way\n", Redacted(d.url))
	}
}

// keepGiven asks the server whether it knows a token, and keeps a credential.
func (d destination) keepGiven(ctx context.Context, w io.Writer, token string, kept Credential) error {
	d.token = token
	c, err := d.client()
	if err != nil {
		return err
	}
	d.warnIfReadable(w)
	_, err = c.Lock(ctx, "octostore/login", client.QueuePage{})
	answered, is := errors.AsType[*client.Error](err)
	if err != nil && (!is || answered.Status != http.StatusForbidden) { // a good token may not read this name
		return fmt.Errorf("log in to %s: %w", Redacted(d.url), err)
	}
	path, err := d.keep(kept)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s knows the token. It is in %s.\n", Redacted(d.url), cmp.Or(d.tokenFile, path))
	d.sayWhenUsed(w)
	return nil
}

// destination is the server of a login, and the profile that keeps the token.
type destination struct{ choice }

// destination chooses the server. A login may make a profile, or give it another URL.
func (s Server) destination() (destination, error) {
	if s.Profile == "" {
		c, err := s.choose()
		c.token, c.tokenFile = "", ""
		return destination{c}, err
	}
	if err := checkProfileName(s.Profile); err != nil {
		return destination{}, err
	}
	timeout, err := s.timeout()
	if err != nil {
		return destination{}, err
	}
	all, err := readKept()
	if err != nil {
		return destination{}, err
	}
	p, env := all.Profiles[s.Profile], s.environment()
	d := destination{choice{profile: s.Profile, timeout: timeout}}
	d.url = cmp.Or(s.URL, p.URL, env.url, client.DefaultURL)
	if serverKey(p.URL) == serverKey(d.url) {
		d.kept, d.caFile = p.Credential, p.CAFile
	}
	d.caFile, d.caFrom = cmp.Or(s.CAFile, d.caFile, env.caFile), "--ca-file"
	return d, nil
}

// keep stores the credential; the zero Credential removes the one that is kept.
func (d destination) keep(c Credential) (path string, err error) {
	if d.profile == "" {
		return Keep(d.url, c)
	}
	ca := d.caFile
	if ca != "" {
		if ca, err = filepath.Abs(ca); err != nil { // commands run in other folders
			return "", err
		}
	}
	return KeepProfile(d.profile, Profile{URL: d.url, CAFile: ca, TokenFile: d.tokenFile, Credential: c})
}

// sayWhenUsed says which commands use a new token, if it is not all of them.
func (d destination) sayWhenUsed(w io.Writer) {
	for _, name := range []string{"OCTOSTORE_TOKEN", "OCTOSTORE_TOKEN_FILE"} {
		if os.Getenv(name) != "" {
			fmt.Fprintf(w, "octostore: warning: %s is set, and goes before it\n", name)
		}
	}
	all, err := readKept()
	if err == nil && d.profile != "" && d.profile != all.Profile {
		fmt.Fprintf(w, "Use it with --profile %s, OCTOSTORE_PROFILE=%s, or after: octostore profile use %s\n", d.profile, d.profile, d.profile)
	}
}

// awaitLogin polls until the user has typed in the code. It retries while the server, or
// GitHub from there, cannot be reached, until the login expires.
func awaitLogin(ctx context.Context, c *client.Client, d api.DeviceLogin) (*api.NewToken, error) {
	over := time.After(time.Duration(d.ExpiresInMS) * time.Millisecond)
	for wait := d.IntervalMS; ; {
		select {
		case <-time.After(time.Duration(max(wait, 1000)) * time.Millisecond):
		case <-over:
			return nil, errors.New("the code was not typed in in time")
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		l, err := c.PollLogin(ctx, d)
		answered, is := errors.AsType[*client.Error](err)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case is && answered.Status < 500:
			return nil, err
		case err == nil && l.Status == api.LoginComplete && l.Token != nil:
			return l.Token, nil
		case err == nil && l.IntervalMS > 0:
			wait = l.IntervalMS
		}
	}
}

// revoke revokes a token that is no longer used. It ignores a server that does not
// answer: the token expires anyway.
func (d destination) revoke(ctx context.Context, token string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d.token = token
	if c, err := d.client(); err == nil {
		_, _ = c.Logout(ctx)
	}
}

// LogOut revokes the kept token of the chosen server, and removes it from the file; with
// local it does not ask the server. A profile stays, without its token.
func (s Server) LogOut(ctx context.Context, w io.Writer, local bool) error {
	chosen, err := s.choose()
	if err != nil {
		return err
	}
	d := destination{chosen}
	if d.kept.Token == "" {
		return fmt.Errorf("not logged in to %s", Redacted(d.url))
	}
	outcome := "The token was not revoked, and ends by itself"
	if !local {
		d.token = d.kept.Token
		c, err := d.client()
		if err != nil {
			return err
		}
		_, err = c.Logout(ctx)
		answered, is := errors.AsType[*client.Error](err)
		switch {
		case err == nil:
			outcome = "The token is revoked"
		case is && answered.Code == api.CodeUnauthenticated:
			outcome = "The token was of no use any more"
		default:
			return fmt.Errorf("the token is still good, and still here; --local removes it here only: %w", err)
		}
	}
	if err := d.forget(); err != nil {
		return err
	}
	fmt.Fprintf(w, "Logged out of %s. %s.\n", Redacted(d.url), outcome)
	return nil
}

// forget removes the token that is kept, and no other that another process may have put in
// its place.
func (d destination) forget() error {
	_, err := change(func(all *credentials) error {
		p, known := all.Profiles[d.profile]
		switch {
		case d.profile == "" && all.Servers[serverKey(d.url)].Token == d.kept.Token:
			delete(all.Servers, serverKey(d.url))
		case known && p.Token == d.kept.Token:
			p.Credential = Credential{}
			all.Profiles[d.profile] = p
		}
		return nil
	})
	return err
}
