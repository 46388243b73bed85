package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

// LogIn logs in with GitHub to the server that OCTOSTORE_URL names, and keeps the token. It
// prints instructions to w, and returns when the login has succeeded or expired.
func LogIn(ctx context.Context, w io.Writer) error {
	target := serverURL()
	shown := Redacted(target)
	before, err := keptToken(target) // fails before the user types in a code for nothing
	if err != nil {
		return err
	}
	c, err := ClientFor(target, "")
	if err != nil {
		return err
	}
	if strings.HasPrefix(serverKey(target), "http:") && !onThisMachine(target) {
		fmt.Fprintf(w, "octostore: warning: the token will go to %s as it is, where others may read it on the way\n", shown)
	}
	d, err := c.BeginLogin(ctx)
	if err != nil {
		return fmt.Errorf("log in to %s: %w", shown, err)
	}
	fmt.Fprintf(w, "Open %s and type in this code: %s\n", d.VerificationURI, d.UserCode)
	t, err := awaitLogin(ctx, c, d)
	if err != nil {
		return fmt.Errorf("log in to %s: %w", shown, err)
	}
	path, err := Keep(target, Credential{Token: t.Secret, Account: t.Account, ExpiresAt: t.ExpiresAt})
	if err != nil {
		revokeKept(ctx, target, t.Secret)
		return err
	}
	if before.Token != "" {
		revokeKept(ctx, target, before.Token)
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
	if os.Getenv("OCTOSTORE_TOKEN") != "" {
		fmt.Fprintln(w, "octostore: warning: OCTOSTORE_TOKEN is set, and goes before it")
	}
	return nil
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

// revokeKept revokes a token that is no longer used. It ignores a server that does not
// answer: the token expires anyway.
func revokeKept(ctx context.Context, target, token string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if c, err := ClientFor(target, token); err == nil {
		_, _ = c.Logout(ctx)
	}
}

// LogOut revokes the kept token of the server that OCTOSTORE_URL names, and removes it from
// the file; with local it does not ask the server.
func LogOut(ctx context.Context, w io.Writer, local bool) error {
	target := serverURL()
	kept, err := keptToken(target)
	if err != nil {
		return err
	}
	if kept.Token == "" {
		return fmt.Errorf("not logged in to %s", Redacted(target))
	}
	outcome := "The token was not revoked, and ends by itself"
	if !local {
		c, err := ClientFor(target, kept.Token)
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
	if _, err := Keep(target, Credential{}); err != nil {
		return err
	}
	fmt.Fprintf(w, "Logged out of %s. %s.\n", Redacted(target), outcome)
	return nil
}
