package client

import (
	"context"
	"crypto/tls"
	"errors"
	"net/url"
)

// UnreachableError means that no server answered: none runs there, a firewall or proxy does not
// let the request pass, or its certificate is not trusted.
type UnreachableError struct {
	URL string // of the server, without a password
	Err error  // why, without the request
}

func (e *UnreachableError) Error() string { return "no answer from " + e.URL + ": " + e.Err.Error() }

// Unwrap returns why.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Untrusted reports whether a server answered with a certificate that is not trusted.
func (e *UnreachableError) Untrusted() bool {
	_, is := errors.AsType[*tls.CertificateVerificationError](e.Err)
	return is
}

// unreachable turns an error of package net/http into one for people, without method and path.
// A caller whose context ended gets the error of the context.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if request, is := errors.AsType[*url.Error](err); is {
		err = request.Err
	}
	return &UnreachableError{URL: c.shown, Err: err}
}
