package config

import (
	"errors"
	"net"
)

// OnAdmin is the value of [Listeners] for what only the admin listener answers.
const OnAdmin Listeners = "admin"

// LocalURL returns the URL at which a client on the same machine reaches the listener for an
// address of these settings: of a wildcard address it is loopback.
func (c Config) LocalURL(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if port == "0" {
		return "", errors.New("the port is 0, so only the log of the server says which it has")
	}
	switch ip := net.ParseIP(host); {
	case host == "":
		host = "127.0.0.1"
	case ip == nil || !ip.IsUnspecified():
	case ip.To4() != nil:
		host = "127.0.0.1"
	default:
		host = "::1"
	}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}
