// Package session connects commands to a server: it chooses the URL, the token and the
// trusted certificates. It keeps the token of octostore login in a file that only the user
// can read, and sends it to no other server.
package session

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/exitcode"
	"github.com/octostore/octostore/transport/client"
)

// Redacted returns a URL without its password, for messages.
func Redacted(target string) string {
	if u, err := url.Parse(target); err == nil {
		return u.Redacted()
	}
	return target
}

// ClientFor returns a client of the server at a URL, which trusts OCTOSTORE_CA_FILE besides
// the system's certificates.
func ClientFor(target, token string) (*client.Client, error) {
	c := choice{timeout: DefaultTimeout}
	c.url, c.token, c.caFile, c.caFrom = target, token, os.Getenv("OCTOSTORE_CA_FILE"), "OCTOSTORE_CA_FILE"
	return c.client()
}

// LocalClient returns a client without a token of the server that runs on this machine with
// this certificate. The certificate is not verified: it is for other names than the address of
// the listener, and nothing that is asked is secret. Each connection begins with the greeting, before TLS;
// it may be empty.
func LocalClient(target, greeting string, timeout time.Duration) (*client.Client, error) {
	return choice{source: source{url: target}, timeout: timeout, local: true, greeting: greeting}.client()
}

// client returns a client with the token of the choice, empty: without.
func (c choice) client() (*client.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = c.url == "" || onThisMachine(c.url) // it would only cost time
	if err := trustAlso(transport, c.caFile, c.caFrom); err != nil {
		return nil, err
	}
	if c.local {
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // see LocalClient
		transport.Proxy = nil
	}
	if c.greeting != "" {
		transport.DialContext = greeted(c.greeting, transport.DialContext)
	}
	// The longer timeout is for what is not bounded: requests that wait.
	to := &http.Client{Transport: &bounded{to: transport, timeout: c.timeout}, Timeout: c.timeout + time.Second}
	made, err := client.New(client.Config{URL: c.url, Token: c.token, HTTP: to})
	if err != nil {
		return nil, exitcode.As(exitcode.Usage, err)
	}
	return made, nil
}

type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// greeted returns a dialer whose connections begin with a greeting.
func greeted(greeting string, dial dialer) dialer {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(conn, greeting); err != nil { // a few bytes: it does not block
			_ = conn.Close() // the first error counts
			return nil, err
		}
		return conn, nil
	}
}

func onThisMachine(target string) bool {
	u, err := url.Parse(target)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
