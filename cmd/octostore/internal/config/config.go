// Package config is what the server can be told from outside, by the environment
// or a .env file.
//
// The fields of [Config] are the one table of settings. Everything else that shows
// them, the configuration command, .env.example and the documentation, is made from
// [Settings], which reads that table.
package config

import (
	"errors"
	"fmt"
	"net"
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
	Addr              Address       `env:"OCTOSTORE_ADDR" envDefault:"127.0.0.1:3000" want:"an address with a port, such as 127.0.0.1:3000, localhost:3000 or 0.0.0.0:3000" doc:"Where to listen. Without tokens only a loopback address is accepted, for whoever reaches the server may then take and break any lock. Port 0 picks a free one; the log says which."`
	TLSCert           File          `env:"OCTOSTORE_TLS_CERT" envDefault:"none" want:"the path of a file, or none" doc:"The certificate to speak TLS with, and those between it and its root, in PEM; OCTOSTORE_TLS_KEY goes with it. SIGHUP reads both again."`
	TLSKey            File          `env:"OCTOSTORE_TLS_KEY" envDefault:"none" want:"the path of a file, or none" doc:"The private key of OCTOSTORE_TLS_CERT, in PEM."`
	AdminAddr         AdminAddress  `env:"OCTOSTORE_ADMIN_ADDR" envDefault:"none" want:"an address with a port, such as 127.0.0.1:3001, or none" doc:"Where to listen a second time, for those who look after the server: tokens, policies, profiles (/debug/pprof/), health and metrics, no locks. Without tokens only a loopback address is accepted. None: nowhere."`
	MetricsOn         Listeners     `env:"OCTOSTORE_METRICS_ON" envDefault:"both" want:"main, admin or both" doc:"Which listener answers /metrics, if there are two."`
	ReadyOn           Listeners     `env:"OCTOSTORE_READYZ_ON" envDefault:"both" want:"main, admin or both" doc:"Which listener answers /readyz, if there are two."`
	DB                Path          `env:"OCTOSTORE_DB" envDefault:"octostore.db" want:"the path of a file" doc:"The database file, made if it is not there. Beside it lie a log of 16 MiB and, if there is space, a reserve of 20 MiB, so that locks can be released on a full disk."`
	TokensFile        File          `env:"OCTOSTORE_TOKENS_FILE" envDefault:"none" want:"the path of a file, or none" doc:"Tokens beside those of the database: lines account:token or account:token:scopes. Refused if everybody on the machine may read it. SIGHUP reads it again."`
	DefaultTTL        time.Duration `env:"OCTOSTORE_DEFAULT_TTL" envDefault:"60s" want:"1s to OCTOSTORE_MAX_TTL" doc:"How long a lease runs when the request does not say."`
	MaxTTL            time.Duration `env:"OCTOSTORE_MAX_TTL" envDefault:"1h" want:"1s to 30d" doc:"The longest ttl a request may ask for."`
	MaxWait           time.Duration `env:"OCTOSTORE_MAX_WAIT" envDefault:"10m" want:"1s to 24h" doc:"The longest a request may wait in a queue; longer waits are cut to this."`
	MaxWaiters        int           `env:"OCTOSTORE_MAX_WAITERS" envDefault:"50000" want:"a number from 1 to 1000000" doc:"How many requests may wait at a time. Fewer may where the process cannot have as many files open; the log says so."`
	MaxWaitersPerLock int           `env:"OCTOSTORE_MAX_WAITERS_PER_LOCK" envDefault:"10000" want:"a number from 1 to 1000000" doc:"How many requests may wait for one lock."`
	MaxConnections    int           `env:"OCTOSTORE_MAX_CONNECTIONS" envDefault:"0" want:"a number from 1 to 1000000, or 0 for as many as there can be files open" doc:"How many connections may be open at a time. Those without a request make room for others, the oldest first; on those above it only renewals and releases are answered."`
	AccountRate       int           `env:"OCTOSTORE_ACCOUNT_RATE" envDefault:"1000" want:"a number from 1 to 1000000, or 0 for no limit" doc:"How many requests an account may send in a second; renewals and releases as many again. This and the next three are no limits where there are no tokens."`
	AccountInFlight   int           `env:"OCTOSTORE_ACCOUNT_IN_FLIGHT" envDefault:"11000" want:"a number from 1 to 1000000, or 0 for no limit" doc:"How many requests of an account may be under way, those that wait included."`
	AccountWaiters    int           `env:"OCTOSTORE_ACCOUNT_WAITERS" envDefault:"10000" want:"a number from 1 to 1000000, or 0 for no limit" doc:"How many requests of an account may wait."`
	AccountLocks      int           `env:"OCTOSTORE_ACCOUNT_LOCKS" envDefault:"100000" want:"a number from 1 to 1000000, or 0 for no limit" doc:"How many locks an account may hold and wait for."`
	AddressRate       int           `env:"OCTOSTORE_ADDRESS_RATE" envDefault:"20" want:"a number from 1 to 1000000, or 0 for no limit" doc:"How many requests without a good token one address may send in a second, /healthz and /readyz aside; and how many of its requests are refused at the door in open mode. Behind a proxy all come from one address."`
	NewTokens         int           `env:"OCTOSTORE_NEW_TOKENS_PER_HOUR" envDefault:"100" want:"a number from 1 to 1000000, or 0 for no limit" doc:"How many tokens may be made in an hour by /v1/tokens, and for each account by logging in."`
	MaxWatches        int           `env:"OCTOSTORE_MAX_WATCHES" envDefault:"1000" want:"a number from 1 to 1000000" doc:"How many clients may watch events at a time. Fewer may where the process cannot have as many files open; the log says so."`
	MaxExports        int           `env:"OCTOSTORE_MAX_EXPORTS" envDefault:"100" want:"a number from 1 to 1000000" doc:"How many clients may export or follow the audit at a time. Each takes a megabyte of memory if it wants it compressed."`
	AuditLevel        AuditLevel    `env:"OCTOSTORE_AUDIT_LEVEL" envDefault:"decisions" want:"changes, decisions or all" doc:"What the journal keeps: changes to locks; with decisions also what was denied; with all also conflicts and waiters that left."`
	AuditRetention    time.Duration `env:"OCTOSTORE_AUDIT_RETENTION" envDefault:"30d" want:"1s to 36500d" doc:"How long the journal is kept. What is younger than twice the longest ttl of a live lease is kept in any case."`
	AuditMaxSize      Size          `env:"OCTOSTORE_AUDIT_MAX_SIZE" envDefault:"4GiB" want:"1MiB to 1024TiB" doc:"How large the database may grow before the oldest of the journal is pruned."`
	Policies          File          `env:"OCTOSTORE_POLICIES" envDefault:"none" want:"the path of a policies.json, or none" doc:"Which policies are asked before a lock is given. SIGHUP loads them again."`
	PolicyCache       Folder        `env:"OCTOSTORE_POLICY_CACHE" envDefault:"beside" want:"the path of a folder, beside for one beside the database, or none" doc:"The folder for the machine code of policies, created if it does not exist. It must belong to the user of the server and be writable by no other user, because the server runs what is in it. Beside: OCTOSTORE_DB with -policies appended. None: every start compiles all policies."`
	PublicURL         URL           `env:"OCTOSTORE_PUBLIC_URL" envDefault:"none" want:"a URL like https://locks.example.com, http on loopback only, or none" doc:"Where browsers find this server, to log in by GitHub. A server on loopback can do without."`
	GitHubClientID    Optional      `env:"OCTOSTORE_GITHUB_CLIENT_ID" envDefault:"none" want:"the client ID of an OAuth app at GitHub, or none" doc:"Lets people log in by GitHub, those that OCTOSTORE_GITHUB_ALLOW names; from then on everybody needs a token."`
	GitHubSecret      Optional      `env:"OCTOSTORE_GITHUB_CLIENT_SECRET" envDefault:"none" want:"the client secret of that app, or none" secret:"yes" doc:"The secret of the OAuth app. Better in a file."`
	GitHubSecretFile  Optional      `env:"OCTOSTORE_GITHUB_CLIENT_SECRET_FILE" envDefault:"none" want:"the path of a file, or none" doc:"A file that holds the secret of the OAuth app instead. Refused if everybody on the machine may read it."`
	GitHubAllow       GitHubAllow   `env:"OCTOSTORE_GITHUB_ALLOW" envDefault:"none" want:"parts joined by a semicolon, such as user:alice@583231=acquire,read:team-a/**; org:acme=read:**; team:acme/ops=admin, or none" doc:"Who may log in by GitHub, and what their tokens may do; nobody else may. The number after a name is its id at GitHub, and keeps out whoever gets the name later."`
	GitHubURL         URL           `env:"OCTOSTORE_GITHUB_URL" envDefault:"https://github.com" want:"a URL like https://github.example.com" doc:"Where GitHub is; another one is taken for a GitHub Enterprise Server."`
	LoginTokenTTL     time.Duration `env:"OCTOSTORE_LOGIN_TOKEN_TTL" envDefault:"12h" want:"1m to 365d" doc:"How long a token is good that somebody got by logging in."`
	LogFormat         LogFormat     `env:"OCTOSTORE_LOG_FORMAT" envDefault:"auto" want:"auto, text or json" doc:"How log lines look; auto is text on a terminal and JSON elsewhere."`
	LogLevel          LogLevel      `env:"OCTOSTORE_LOG_LEVEL" envDefault:"info" want:"debug, info, warn or error" doc:"The least important log lines to write."`
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
