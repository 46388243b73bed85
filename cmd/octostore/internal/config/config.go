// Package config has the settings of the server, from the environment or a .env file.
//
// The fields of [Config] are the one table of settings. Everything else that shows
// them, the configuration command, .env.example and the documentation, is made from
// [Settings], which reads that table.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/transport/login"
)

// Config is the configuration of a server. Load makes one; the zero Config is not
// usable.
//
// Tags: env is the name of the variable, envDefault its default, want what a right
// value looks like, doc what it means; secret hides the value.
type Config struct {
	Addr              Address       `env:"OCTOSTORE_ADDR" envDefault:"127.0.0.1:3000" want:"an address with a port, such as 127.0.0.1:3000, localhost:3000 or 0.0.0.0:3000" doc:"The address to listen on. Until tokens exist it must be a loopback address. Port 0 picks a free port, which the log names."`
	TLSCert           File          `env:"OCTOSTORE_TLS_CERT" envDefault:"none" want:"the path of a file, or none" doc:"The TLS certificate and its chain, in PEM. A change of certificate or key is noticed."`
	TLSKey            File          `env:"OCTOSTORE_TLS_KEY" envDefault:"none" want:"the path of a file, or none" doc:"The private key of OCTOSTORE_TLS_CERT, in PEM."`
	AdminAddr         AdminAddress  `env:"OCTOSTORE_ADMIN_ADDR" envDefault:"none" want:"an address with a port, such as 127.0.0.1:3001, or none" doc:"The address of a second listener for administration: tokens, policies, profiles (/debug/pprof/), health and metrics, but no locks. Until tokens exist it must be a loopback address."`
	MetricsOn         Listeners     `env:"OCTOSTORE_METRICS_ON" envDefault:"both" want:"main, admin or both" doc:"The listener that serves /metrics, if there are two."`
	ReadyOn           Listeners     `env:"OCTOSTORE_READYZ_ON" envDefault:"both" want:"main, admin or both" doc:"The listener that serves the readiness probe /readyz, if there are two."`
	TrustedProxies    Prefixes      `env:"OCTOSTORE_TRUSTED_PROXIES" envDefault:"none" want:"addresses and prefixes joined by commas, such as 10.0.0.7,192.0.2.0/24,2001:db8::/32, or none" doc:"The proxies that are believed when they name the address of a client, for limits, policies, log and audit log. Headers from other addresses are ignored."`
	ProxyHeader       ProxyHeader   `env:"OCTOSTORE_PROXY_HEADER" envDefault:"x-forwarded-for" want:"x-forwarded-for, forwarded or proxy-protocol" doc:"The one header in which OCTOSTORE_TRUSTED_PROXIES name the address of a client. The proxies have to set or append it to every request. With proxy-protocol their connections to OCTOSTORE_ADDR have to begin with a PROXY header of version 1 or 2, before TLS."`
	Lane              OnOff         `env:"OCTOSTORE_LANE" envDefault:"on" want:"on or off" doc:"Whether the usual requests for locks are read without net/http's server, which answers the same but costs more. It has no effect with TLS."`
	DB                Path          `env:"OCTOSTORE_DB" envDefault:"octostore.db" want:"the path of a file" doc:"The database file, created if it does not exist. A write-ahead log of 16 MiB and a disk reserve of 20 MiB are kept beside it. With OCTOSTORE_STORE=etcd there is none."`
	Store             StoreKind     `env:"OCTOSTORE_STORE" envDefault:"sqlite" want:"sqlite or etcd" doc:"What locks, tokens and audit log are kept in: the file OCTOSTORE_DB of one server, or etcd, which the nodes of a cluster share."`
	EtcdEndpoints     Endpoints     `env:"OCTOSTORE_ETCD_ENDPOINTS" envDefault:"none" want:"URLs joined by commas, such as http://10.0.0.1:2379,http://10.0.0.2:2379, or none" doc:"The client URLs of the members of etcd, version 3.6 or newer. This setting and the next nine are for OCTOSTORE_STORE=etcd only."`
	EtcdPrefix        KeyPrefix     `env:"OCTOSTORE_ETCD_PREFIX" envDefault:"/octostore/" want:"a path that begins and ends with a slash, such as /octostore/" doc:"The prefix of all keys in etcd. The nodes of one cluster have the same; two clusters in one etcd need different ones, neither of which begins with the other."`
	EtcdLease         time.Duration `env:"OCTOSTORE_ETCD_LEASE" envDefault:"10s" want:"2s to 10m, in whole seconds" doc:"How long a node that is no longer heard of keeps its term. Another node takes over after that time. It has to be the same on all nodes."`
	EtcdCA            File          `env:"OCTOSTORE_ETCD_CA" envDefault:"none" want:"the path of a file, or none" doc:"The certificates of the authorities that sign etcd's certificates, in PEM. With none those of the system count."`
	EtcdCert          File          `env:"OCTOSTORE_ETCD_CERT" envDefault:"none" want:"the path of a file, or none" doc:"The certificate with which this node proves to etcd who it is, in PEM."`
	EtcdKey           File          `env:"OCTOSTORE_ETCD_KEY" envDefault:"none" want:"the path of a file, or none" doc:"The private key of OCTOSTORE_ETCD_CERT, in PEM. A file that everybody on the machine can read or change is refused."`
	EtcdUser          Optional      `env:"OCTOSTORE_ETCD_USER" envDefault:"none" want:"the name of a user of etcd, or none" doc:"The user of etcd, where etcd has users. It needs to read and write the keys below OCTOSTORE_ETCD_PREFIX."`
	EtcdPasswordFile  File          `env:"OCTOSTORE_ETCD_PASSWORD_FILE" envDefault:"none" want:"the path of a file, or none" doc:"A file with the password of OCTOSTORE_ETCD_USER. A file that everybody on the machine can read or change is refused."`
	Node              NodeName      `env:"OCTOSTORE_NODE" envDefault:"hostname" want:"1 to 63 letters, digits, dots, dashes and underscores, or hostname for the name of the machine" doc:"The name of this node, unique in its cluster."`
	AdvertiseURL      NodeURL       `env:"OCTOSTORE_ADVERTISE_URL" envDefault:"none" want:"a URL like http://10.0.0.7:3000, https where OCTOSTORE_TLS_CERT is set, or none" doc:"The URL at which the other nodes of the cluster reach this one. They verify the certificate of an https URL."`
	TokensFile        File          `env:"OCTOSTORE_TOKENS_FILE" envDefault:"none" want:"the path of a file, or none" doc:"A file of additional tokens, with lines account:token or account:token:scopes. A file that everybody on the machine can read or change is refused. A change is noticed."`
	TokenRetention    time.Duration `env:"OCTOSTORE_TOKEN_RETENTION" envDefault:"30d" want:"1s to 36500d" doc:"How long tokens are listed after they expired or were revoked. Then they are deleted."`
	WatchFiles        time.Duration `env:"OCTOSTORE_WATCH_FILES" envDefault:"2s" want:"10ms to 1h, or 0" doc:"How often certificate, tokens file, policies and modules are looked at. One that has changed, and not again at the next look, is loaded. With 0, and at any time, SIGHUP loads them."`
	DefaultTTL        time.Duration `env:"OCTOSTORE_DEFAULT_TTL" envDefault:"60s" want:"1s to OCTOSTORE_MAX_TTL" doc:"The lease duration of requests that do not set one."`
	MaxTTL            time.Duration `env:"OCTOSTORE_MAX_TTL" envDefault:"1h" want:"1s to 30d" doc:"The longest lease duration that a request may ask for."`
	MaxWait           time.Duration `env:"OCTOSTORE_MAX_WAIT" envDefault:"10m" want:"1s to 24h" doc:"The longest time a request may wait in a queue; longer waits are shortened to it."`
	MaxWaiters        int           `env:"OCTOSTORE_MAX_WAITERS" envDefault:"50000" want:"a number from 1 to 1000000" doc:"The number of requests that may wait at the same time. A low file descriptor limit reduces it; the log says so."`
	MaxWaitersPerLock int           `env:"OCTOSTORE_MAX_WAITERS_PER_LOCK" envDefault:"10000" want:"a number from 1 to 1000000" doc:"The number of requests that may wait for one lock."`
	MaxConnections    int           `env:"OCTOSTORE_MAX_CONNECTIONS" envDefault:"0" want:"a number from 1 to 1000000, or 0 for as many as there can be files open" doc:"The number of open connections. At the limit the oldest idle connections are closed; connections above it are served only renewals and releases."`
	AccountRate       int           `env:"OCTOSTORE_ACCOUNT_RATE" envDefault:"1000" want:"a number from 1 to 1000000, or 0 for no limit" doc:"Requests per second of an account; renewals and releases have a limit of the same size of their own. This limit and the next three apply only once tokens exist."`
	AccountInFlight   int           `env:"OCTOSTORE_ACCOUNT_IN_FLIGHT" envDefault:"11000" want:"a number from 1 to 1000000, or 0 for no limit" doc:"The number of requests of an account in progress, waiting requests included."`
	AccountWaiters    int           `env:"OCTOSTORE_ACCOUNT_WAITERS" envDefault:"10000" want:"a number from 1 to 1000000, or 0 for no limit" doc:"The number of requests of an account that may wait."`
	AccountLocks      int           `env:"OCTOSTORE_ACCOUNT_LOCKS" envDefault:"100000" want:"a number from 1 to 1000000, or 0 for no limit" doc:"The number of locks an account may hold or wait for."`
	AddressRate       int           `env:"OCTOSTORE_ADDRESS_RATE" envDefault:"20" want:"a number from 1 to 1000000, or 0 for no limit" doc:"Requests per second without a valid token from one address, except /healthz and /readyz; on servers without tokens, rejected requests per second from one address. Clients behind a proxy share its address unless OCTOSTORE_TRUSTED_PROXIES has it."`
	NewTokens         int           `env:"OCTOSTORE_NEW_TOKENS_PER_HOUR" envDefault:"100" want:"a number from 1 to 1000000, or 0 for no limit" doc:"The number of tokens that can be created per hour with /v1/tokens, and per account by logging in."`
	MaxWatches        int           `env:"OCTOSTORE_MAX_WATCHES" envDefault:"1000" want:"a number from 1 to 1000000" doc:"The number of clients that may watch events at the same time. A low file descriptor limit reduces it; the log says so."`
	MaxExports        int           `env:"OCTOSTORE_MAX_EXPORTS" envDefault:"100" want:"a number from 1 to 1000000" doc:"The number of clients that may export or follow the audit log at the same time. A compressed export takes one MiB of memory."`
	AuditLevel        AuditLevel    `env:"OCTOSTORE_AUDIT_LEVEL" envDefault:"decisions" want:"changes, decisions or all" doc:"What the audit log records: changes to locks; with decisions also denials by policies; with all also conflicts and waiters that left."`
	AuditRetention    time.Duration `env:"OCTOSTORE_AUDIT_RETENTION" envDefault:"30d" want:"1s to 36500d" doc:"How long audit records are kept. Records younger than twice the longest ttl of a live lease are always kept."`
	AuditMaxSize      Size          `env:"OCTOSTORE_AUDIT_MAX_SIZE" envDefault:"4GiB" want:"1MiB to 1024TiB" doc:"The database size above which the oldest audit records are pruned."`
	AuditArchive      File          `env:"OCTOSTORE_AUDIT_ARCHIVE" envDefault:"none" want:"the path of a folder, or none" doc:"The folder in which audit records are kept for good: they are written to files there before they are pruned. Nodes of a cluster may share it."`
	Policies          File          `env:"OCTOSTORE_POLICIES" envDefault:"none" want:"the path of a policies.json, or none" doc:"The manifest of the policies to enforce. A change of it or of a module is noticed."`
	PolicyCache       Folder        `env:"OCTOSTORE_POLICY_CACHE" envDefault:"beside" want:"the path of a folder, beside for one beside the database, or none" doc:"The folder for compiled policies, created if it does not exist. Only the user of the server may be able to write to it, because the server runs the code in it. Beside is OCTOSTORE_DB with -policies appended; with none, every start compiles all policies."`
	PublicURL         PublicURL     `env:"OCTOSTORE_PUBLIC_URL" envDefault:"none" want:"a URL like https://locks.example.com or https://example.com/locks, http on loopback only, or none" doc:"The URL at which browsers reach this server, for its page and to log in with GitHub. It may have a path, below which a proxy serves this server. A server on loopback does not need it."`
	GitHubClientID    Optional      `env:"OCTOSTORE_GITHUB_CLIENT_ID" envDefault:"none" want:"the client ID of an OAuth app at GitHub, or none" doc:"The client ID of the OAuth app, which turns on login with GitHub. From then on every request needs a token."`
	GitHubSecret      Optional      `env:"OCTOSTORE_GITHUB_CLIENT_SECRET" envDefault:"none" want:"the client secret of that app, or none" secret:"yes" doc:"The client secret of the OAuth app. OCTOSTORE_GITHUB_CLIENT_SECRET_FILE is safer."`
	GitHubSecretFile  Optional      `env:"OCTOSTORE_GITHUB_CLIENT_SECRET_FILE" envDefault:"none" want:"the path of a file, or none" doc:"A file with the client secret of the OAuth app. A file that everybody on the machine can read or change is refused."`
	GitHubAllow       GitHubAllow   `env:"OCTOSTORE_GITHUB_ALLOW" envDefault:"none" want:"parts joined by a semicolon, such as user:alice@583231=acquire,read:team-a/**; org:acme=read:**; team:acme/ops=admin, or none" doc:"The users, organizations and teams that may log in with GitHub, and the scopes of their tokens. The number after a name is its GitHub id; it locks out a later owner of the same name."`
	GitHubURL         URL           `env:"OCTOSTORE_GITHUB_URL" envDefault:"https://github.com" want:"a URL like https://github.example.com" doc:"The URL of GitHub, or of a GitHub Enterprise Server."`
	LoginTokenTTL     time.Duration `env:"OCTOSTORE_LOGIN_TOKEN_TTL" envDefault:"12h" want:"1m to 365d" doc:"The lifetime of tokens created by logging in."`
	LogFormat         LogFormat     `env:"OCTOSTORE_LOG_FORMAT" envDefault:"auto" want:"auto, text or json" doc:"The format of log lines. Auto is text on a terminal, else JSON."`
	LogLevel          LogLevel      `env:"OCTOSTORE_LOG_LEVEL" envDefault:"info" want:"debug, info, warn or error" doc:"The lowest level that is logged."`
}

// Address is an address to listen on. Whether it may be one that others can reach is
// known only when it is known whether there are tokens.
type Address string

// UnmarshalText refuses everything but a host with a port; the host may be left out.
func (a *Address) UnmarshalText(text []byte) error {
	host, port, err := net.SplitHostPort(string(text))
	if err != nil {
		return errors.New("is not HOST:PORT")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("has the port %q", port)
	}
	if strings.ContainsAny(host, " /@?#") {
		return fmt.Errorf("has the host %q", host)
	}
	*a = Address(text)
	return nil
}

// Path is the path of a file.
type Path string

// UnmarshalText refuses what SQLite would take for something other than a file.
func (p *Path) UnmarshalText(text []byte) error {
	if s := string(text); s == ":memory:" || strings.HasPrefix(s, "file:") {
		return errors.New("is not the path of a file")
	}
	*p = Path(text)
	return nil
}

// File is the path of a file that need not be; empty: there is none.
type File string

// UnmarshalText takes the word none for no path.
func (f *File) UnmarshalText(text []byte) error {
	if *f = File(text); *f == "none" {
		*f = ""
	}
	return nil
}

// Folder is the path of a folder, or one of two words: beside the database, or none.
type Folder string

// UnmarshalText refuses an empty path.
func (f *Folder) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("is empty")
	}
	*f = Folder(text)
	return nil
}

// PolicyCacheDir returns the folder for compiled policies; empty: there is none.
func (c Config) PolicyCacheDir() string {
	switch c.PolicyCache {
	case "none", "":
		return ""
	case "beside":
		return string(c.DB) + "-policies"
	}
	return string(c.PolicyCache)
}

// AdminAddress is an [Address] that need not be; empty: there is none.
type AdminAddress string

// UnmarshalText takes the word none for no address.
func (a *AdminAddress) UnmarshalText(text []byte) error {
	if *a = ""; string(text) == "none" {
		return nil
	}
	return (*Address)(a).UnmarshalText(text)
}

// OnOff is a switch.
type OnOff bool

// UnmarshalText reads the words on and off.
func (o *OnOff) UnmarshalText(text []byte) error {
	word := string(text)
	err := oneOf(&word, text, "on", "off")
	*o = word == "on"
	return err
}

// Listeners say which of the two listeners answer something.
type Listeners string

// UnmarshalText refuses unknown listeners.
func (l *Listeners) UnmarshalText(text []byte) error {
	return oneOf(l, text, "main", "admin", "both")
}

// Optional is a text; empty: there is none.
type Optional string

// UnmarshalText takes the word none for none.
func (o *Optional) UnmarshalText(text []byte) error {
	if *o = Optional(text); *o == "none" {
		*o = ""
	}
	return nil
}

// URL is that of a site; empty: there is none.
type URL string

// UnmarshalText refuses URLs that secrets must not be sent to.
func (u *URL) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		return nil
	}
	site, err := login.CheckURL(string(text))
	if err == nil {
		*u = URL(site.String())
	}
	return err
}

// PublicURL is that of this server for browsers, which may have a path; empty: unknown.
type PublicURL string

// UnmarshalText refuses URLs that secrets must not be sent to.
func (u *PublicURL) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		return nil
	}
	public, err := login.CheckPublicURL(string(text))
	if err == nil {
		*u = PublicURL(public.String())
	}
	return err
}

// URL returns the URL, or nil if it is unknown.
func (u PublicURL) URL() *url.URL {
	public, err := login.CheckPublicURL(string(u))
	if err != nil {
		return nil
	}
	return public
}

// GitHubAllow says who may log in by GitHub, as [login.ParseAllow] reads it; empty: there
// is no such login.
type GitHubAllow string

// UnmarshalText refuses what ParseAllow does.
func (a *GitHubAllow) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		return nil
	}
	*a = GitHubAllow(text)
	_, err := login.ParseAllow(string(text))
	return err
}

// LoginByGitHub reports whether people can log in by GitHub.
func (c Config) LoginByGitHub() bool { return c.GitHubClientID != "" }

// AuditLevel says which events the journal keeps.
type AuditLevel string

// UnmarshalText refuses unknown levels.
func (l *AuditLevel) UnmarshalText(text []byte) error {
	return oneOf(l, text, "changes", "decisions", "all")
}

// Size is a number of bytes.
type Size int64

// UnmarshalText reads a number of bytes, or one with a unit of 1024s: 500MiB.
func (z *Size) UnmarshalText(text []byte) error {
	number, shift := string(text), 0
	for i, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if before, is := strings.CutSuffix(number, unit); is {
			number, shift = before, 10*(i+1)
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil {
		return errors.New("is not a size")
	}
	if n < 0 || n > mostSize>>shift {
		return errors.New("is out of range")
	}
	*z = Size(n << shift)
	return nil
}

// LogFormat says how log lines look.
type LogFormat string

// UnmarshalText refuses unknown formats.
func (f *LogFormat) UnmarshalText(text []byte) error {
	return oneOf(f, text, "auto", "text", "json")
}

// LogLevel is the least important level that is logged.
type LogLevel string

// UnmarshalText refuses unknown levels.
func (l *LogLevel) UnmarshalText(text []byte) error {
	return oneOf(l, text, "debug", "info", "warn", "error")
}

func oneOf[T ~string](to *T, text []byte, words ...T) error {
	for _, w := range words {
		if string(text) == string(w) {
			*to = w
			return nil
		}
	}
	return errors.New("is not one of the known words")
}
