// Package session connects commands to a server: it chooses the URL, the token and the
// trusted certificates. It keeps the token of octostore login in a file that only the user
// can read, and sends it to no other server.
package session

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/octostore/octostore/transport/client"
)

// NewClient returns a client of the server that OCTOSTORE_URL names. Its token is the one in
// OCTOSTORE_TOKEN, or else the one that octostore login has kept for this server.
func NewClient() (*client.Client, error) {
	target, token := os.Getenv("OCTOSTORE_URL"), os.Getenv("OCTOSTORE_TOKEN")
	if token == "" {
		kept, err := keptToken(serverURL())
		if err != nil {
			return nil, err
		}
		token = kept.Token
	}
	return ClientFor(target, token)
}

// serverURL names the server that commands ask.
func serverURL() string { return cmp.Or(os.Getenv("OCTOSTORE_URL"), client.DefaultURL) }

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
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = target == "" || onThisMachine(target) // it would only cost time
	if err := trustAlso(transport, os.Getenv("OCTOSTORE_CA_FILE")); err != nil {
		return nil, err
	}
	return client.New(client.Config{URL: target, Token: token, HTTP: &http.Client{Transport: transport}})
}

func onThisMachine(target string) bool {
	u, err := url.Parse(target)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
