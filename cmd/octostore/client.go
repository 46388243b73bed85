package main

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/octostore/octostore/transport/client"
)

const defaultURLHelp = client.DefaultURL + " if it is not set"

// newClient returns a client of the server the environment names. Its token is the one in
// OCTOSTORE_TOKEN, else the one that octostore login has kept for this server.
func newClient() (*client.Client, error) {
	target, token := os.Getenv("OCTOSTORE_URL"), os.Getenv("OCTOSTORE_TOKEN")
	if token == "" {
		kept, err := keptToken(serverURL())
		if err != nil {
			return nil, err
		}
		token = kept.Token
	}
	return clientWith(target, token)
}

// serverURL names the server that commands ask.
func serverURL() string { return cmp.Or(os.Getenv("OCTOSTORE_URL"), client.DefaultURL) }

// withoutPassword is a URL as it may be shown.
func withoutPassword(target string) string {
	if u, err := url.Parse(target); err == nil {
		return u.Redacted()
	}
	return target
}

func clientWith(target, token string) (*client.Client, error) {
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
