package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// Limits of the settings of a cluster.
const (
	leastLease   = 2 * time.Second
	longestLease = 10 * time.Minute
	longestNode  = 63

	defaultPrefix = "/octostore/"
	defaultLease  = 10 * time.Second
)

// StoreKind says what a table is kept in.
type StoreKind string

// The kinds of stores.
const (
	SQLite StoreKind = "sqlite"
	Etcd   StoreKind = "etcd"
)

// UnmarshalText refuses unknown stores.
func (k *StoreKind) UnmarshalText(text []byte) error {
	return oneOf(k, text, SQLite, Etcd)
}

// Endpoints are the URLs of etcd, joined by commas; empty: there are none.
type Endpoints string

// UnmarshalText refuses everything but URLs of one scheme with a host and a port.
func (e *Endpoints) UnmarshalText(text []byte) error {
	if *e = Endpoints(text); *e == "none" {
		*e = ""
	}
	schemes := map[string]bool{}
	for _, one := range e.List() {
		u, err := siteURL(one)
		if err != nil {
			return err
		}
		if u.Port() == "" {
			return fmt.Errorf("has %q, which has no port; etcd's usual one is 2379", one)
		}
		schemes[u.Scheme] = true
	}
	if len(schemes) > 1 {
		return errors.New("has http and https; all have to be the same")
	}
	return nil
}

// List returns the URLs.
func (e Endpoints) List() []string {
	if e == "" {
		return nil
	}
	var all []string
	for one := range strings.SplitSeq(string(e), ",") {
		all = append(all, strings.TrimSpace(one))
	}
	return all
}

// TLS reports whether the connections to etcd are encrypted.
func (e Endpoints) TLS() bool { return strings.HasPrefix(string(e), "https://") }

// KeyPrefix is what all keys in etcd begin with.
type KeyPrefix string

// UnmarshalText refuses a prefix that could be part of another application's.
func (p *KeyPrefix) UnmarshalText(text []byte) error {
	s := string(text)
	if len(s) < 3 || len(s) > 200 || !strings.HasPrefix(s, "/") || !strings.HasSuffix(s, "/") {
		return errors.New("is not a path between two slashes")
	}
	if strings.Contains(s, "//") || strings.ContainsFunc(s, func(r rune) bool { return !nodeRune(r) && r != '/' }) {
		return errors.New("has characters that a prefix must not have")
	}
	*p = KeyPrefix(s)
	return nil
}

// NodeName is the name of one node of a cluster; empty: the machine has no name that could be one.
type NodeName string

// UnmarshalText takes the word hostname for the name of the machine.
func (n *NodeName) UnmarshalText(text []byte) error {
	if string(text) == "hostname" {
		*n = hostNode()
		return nil
	}
	*n = NodeName(text)
	return n.check()
}

// hostNode returns the name of the machine, if it can be that of a node.
func hostNode() NodeName {
	host, err := os.Hostname()
	if err != nil || NodeName(host).check() != nil {
		return ""
	}
	return NodeName(host)
}

func (n NodeName) check() error {
	if n == "" || len(n) > longestNode {
		return fmt.Errorf("has %d characters, not 1 to %d", len(n), longestNode)
	}
	if strings.ContainsFunc(string(n), func(r rune) bool { return !nodeRune(r) }) {
		return errors.New("has characters that a node's name must not have")
	}
	return nil
}

func nodeRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
}

// NodeURL is where the other nodes of a cluster reach one; empty: there is none.
type NodeURL string

// UnmarshalText refuses everything but the URL of a site that can be connected to.
func (n *NodeURL) UnmarshalText(text []byte) error {
	if *n = NodeURL(text); *n == "none" {
		*n = ""
		return nil
	}
	u, err := siteURL(string(text))
	if err != nil {
		return err
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		return errors.New("is an address to listen on, not one to connect to")
	}
	*n = NodeURL(u.String())
	return nil
}

// siteURL returns the URL of a host, without the slash at its end.
func siteURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("has %q, which is not http://HOST:PORT or https://HOST:PORT", text)
	case u.User != nil:
		return nil, errors.New("has a user or a password, which do not belong in a URL")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("has %q, which has more than a host and a port", text)
	}
	return u, nil
}

const noEffectInFile = "has no effect without OCTOSTORE_STORE=etcd"

// unfitCluster adds what is wrong with each setting of a cluster that does not go with another.
func unfitCluster(c Config, out map[string]string) {
	if c.Store != Etcd {
		withoutEtcd(c, out)
		return
	}
	if c.EtcdEndpoints == "" {
		out["EtcdEndpoints"] = "is missing, for OCTOSTORE_STORE is etcd"
	}
	if c.Node == "" {
		out["Node"] = "is missing, for the machine's name cannot be a node's"
	}
	unfitEtcdLogin(c, out)
	switch {
	case c.AdvertiseURL == "":
		out["AdvertiseURL"] = "is missing, for the other nodes have to reach this one"
	case c.TLSCert == "" && strings.HasPrefix(string(c.AdvertiseURL), "https:"):
		out["AdvertiseURL"] = "is https, but there is no OCTOSTORE_TLS_CERT"
	case c.TLSCert != "" && strings.HasPrefix(string(c.AdvertiseURL), "http:"):
		out["AdvertiseURL"] = "is http, but with OCTOSTORE_TLS_CERT this server takes https only"
	}
}

func withoutEtcd(c Config, out map[string]string) {
	for field, set := range map[string]bool{
		"EtcdEndpoints":    c.EtcdEndpoints != "",
		"EtcdPrefix":       c.EtcdPrefix != defaultPrefix,
		"EtcdLease":        c.EtcdLease != defaultLease,
		"EtcdCA":           c.EtcdCA != "",
		"EtcdCert":         c.EtcdCert != "",
		"EtcdKey":          c.EtcdKey != "",
		"EtcdUser":         c.EtcdUser != "",
		"EtcdPasswordFile": c.EtcdPasswordFile != "",
		"Node":             c.Node != hostNode(),
		"AdvertiseURL":     c.AdvertiseURL != "",
	} {
		if _, is := out[field]; set && !is {
			out[field] = noEffectInFile
		}
	}
}

func unfitEtcdLogin(c Config, out map[string]string) {
	if c.EtcdEndpoints != "" && !c.EtcdEndpoints.TLS() {
		for field, path := range map[string]File{"EtcdCA": c.EtcdCA, "EtcdCert": c.EtcdCert, "EtcdKey": c.EtcdKey} {
			if path != "" {
				out[field] = "has no effect, for OCTOSTORE_ETCD_ENDPOINTS are http"
			}
		}
	}
	switch {
	case c.EtcdCert != "" && c.EtcdKey == "":
		out["EtcdKey"] = "is missing, for there is OCTOSTORE_ETCD_CERT"
	case c.EtcdKey != "" && c.EtcdCert == "":
		out["EtcdCert"] = "is missing, for there is OCTOSTORE_ETCD_KEY"
	}
	switch {
	case c.EtcdUser != "" && c.EtcdPasswordFile == "":
		out["EtcdPasswordFile"] = "is missing, for there is OCTOSTORE_ETCD_USER"
	case c.EtcdPasswordFile != "" && c.EtcdUser == "":
		out["EtcdUser"] = "is missing, for there is OCTOSTORE_ETCD_PASSWORD_FILE"
	}
}
