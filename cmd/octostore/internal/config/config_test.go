package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load reads settings from these variables in an empty directory.
func load(t *testing.T, environ ...string) (Loaded, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	return Load(Sources{Environ: environ})
}

func TestDefaults(t *testing.T) {
	got, err := load(t)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Addr: "127.0.0.1:3000", ProxyHeader: "x-forwarded-for", MetricsOn: "both", ReadyOn: "both", DB: "octostore.db",
		Lane:  true,
		Store: SQLite, EtcdPrefix: "/octostore/", EtcdLease: 10 * time.Second, Node: hostNode(),
		DefaultTTL: time.Minute, MaxTTL: time.Hour, MaxWait: 10 * time.Minute,
		MaxWaiters: 50_000, MaxWaitersPerLock: 10_000, MaxWatches: 1000, MaxExports: 100,
		AccountRate: 1000, AccountInFlight: 11_000, AccountWaiters: 10_000, AccountLocks: 100_000, AddressRate: 20, NewTokens: 100,
		TokenRetention: 30 * 24 * time.Hour, AuditLevel: "decisions", AuditRetention: 30 * 24 * time.Hour, AuditMaxSize: 4 << 30,
		WatchFiles: 2 * time.Second,
		GitHubURL:  "https://github.com", LoginTokenTTL: 12 * time.Hour,
		LogFormat: "auto", LogLevel: "info", PolicyCache: "beside",
	}
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	for _, v := range got.Values {
		if v.Source != FromDefault {
			t.Errorf("%s came from %q, want the default", v.Name, v.Source)
		}
	}
}

func TestValues(t *testing.T) {
	tests := []struct {
		name, value string
		problem     string // empty: it is right
	}{
		{"OCTOSTORE_ADDR", "127.0.0.1:0", ""},
		{"OCTOSTORE_ADDR", "127.8.8.8:80", ""},
		{"OCTOSTORE_ADDR", "localhost:3000", ""},
		{"OCTOSTORE_ADDR", "[::1]:3000", ""},
		{"OCTOSTORE_ADDR", "http://localhost:3000", "is not HOST:PORT"},
		{"OCTOSTORE_ADDR", "a b:3000", "has the host"},
		{"OCTOSTORE_ADDR", "localhost", "is not HOST:PORT"},
		{"OCTOSTORE_ADDR", "localhost:http", `has the port "http"`},
		{"OCTOSTORE_ADDR", "localhost:65536", `has the port "65536"`},
		{"OCTOSTORE_TRUSTED_PROXIES", "none", ""},
		{"OCTOSTORE_TRUSTED_PROXIES", "10.0.0.7, 192.0.2.0/24,2001:db8::/32, ::1", ""},
		{"OCTOSTORE_TRUSTED_PROXIES", "10.0.0.7,", `has "", which is no IP address`},
		{"OCTOSTORE_TRUSTED_PROXIES", "proxy.example.com", `has "proxy.example.com", which is no IP address`},
		{"OCTOSTORE_TRUSTED_PROXIES", "fe80::1%eth0", `has "fe80::1%eth0", which is no IP address`},
		{"OCTOSTORE_TRUSTED_PROXIES", "10.0.0.0/33", `has "10.0.0.0/33", which is no IP prefix`},
		{"OCTOSTORE_TRUSTED_PROXIES", "10.0.0.7/8", `has "10.0.0.7/8"; did you mean 10.0.0.0/8`},
		{"OCTOSTORE_TRUSTED_PROXIES", "0.0.0.0/0", "trusts every address"},
		{"OCTOSTORE_TRUSTED_PROXIES", "::/0", "trusts every address"},
		{"OCTOSTORE_TRUSTED_PROXIES", "::ffff:10.0.0.0/104", `has "::ffff:10.0.0.0/104"; write it as an IPv4 prefix`},
		{"OCTOSTORE_PROXY_HEADER", "x-forwarded-for", ""},
		{"OCTOSTORE_PROXY_HEADER", "x-real-ip", "is not one of the known words"},
		{"OCTOSTORE_PROXY_HEADER", "forwarded", "has no effect without OCTOSTORE_TRUSTED_PROXIES"},
		{"OCTOSTORE_ADMIN_ADDR", "none", ""},
		{"OCTOSTORE_ADMIN_ADDR", "[::1]:0", ""},
		{"OCTOSTORE_ADMIN_ADDR", "3001", "is not HOST:PORT"},
		{"OCTOSTORE_ADMIN_ADDR", ":x", `has the port "x"`},
		{"OCTOSTORE_METRICS_ON", "main", ""},
		{"OCTOSTORE_METRICS_ON", "admin", "is a listener that there is not"},
		{"OCTOSTORE_METRICS_ON", "none", "is not one of the known words"},
		{"OCTOSTORE_READYZ_ON", "admin", "is a listener that there is not"},
		{"OCTOSTORE_ACCOUNT_RATE", "0", ""},
		{"OCTOSTORE_ACCOUNT_RATE", "-1", "is out of range"},
		{"OCTOSTORE_ACCOUNT_IN_FLIGHT", "1000001", "is out of range"},
		{"OCTOSTORE_ACCOUNT_WAITERS", "-1", "is out of range"},
		{"OCTOSTORE_ACCOUNT_LOCKS", "all", "is not a whole number"},
		{"OCTOSTORE_ADDRESS_RATE", "-1", "is out of range"},
		{"OCTOSTORE_NEW_TOKENS_PER_HOUR", "-1", "is out of range"},
		{"OCTOSTORE_MAX_CONNECTIONS", "1000001", "is out of range"},
		{"OCTOSTORE_DB", "a dir/o.db", ""},
		{"OCTOSTORE_DB", ":memory:", "is not the path of a file"},
		{"OCTOSTORE_DB", "file:o.db?mode=ro", "is not the path of a file"},
		{"OCTOSTORE_DEFAULT_TTL", "90", ""},
		{"OCTOSTORE_DEFAULT_TTL", "1s", ""},
		{"OCTOSTORE_DEFAULT_TTL", "1h", ""},
		{"OCTOSTORE_DEFAULT_TTL", "999ms", "is out of range"},
		{"OCTOSTORE_DEFAULT_TTL", "61m", "is out of range"},
		{"OCTOSTORE_DEFAULT_TTL", "soon", "is not a duration"},
		{"OCTOSTORE_MAX_TTL", "30d", ""},
		{"OCTOSTORE_MAX_TTL", "720h1ms", "is out of range"},
		{"OCTOSTORE_MAX_WAIT", "1s", ""},
		{"OCTOSTORE_MAX_WAIT", "0", "is out of range"},
		{"OCTOSTORE_MAX_WAITERS", "1", ""},
		{"OCTOSTORE_MAX_WAITERS", "0", "is out of range"},
		{"OCTOSTORE_MAX_WAITERS", "many", "is not a whole number"},
		{"OCTOSTORE_MAX_WAITERS_PER_LOCK", "1000000", ""},
		{"OCTOSTORE_MAX_WATCHES", "1", ""},
		{"OCTOSTORE_MAX_WATCHES", "0", "is out of range"},
		{"OCTOSTORE_MAX_EXPORTS", "1000001", "is out of range"},
		{"OCTOSTORE_MAX_WAITERS_PER_LOCK", "1000001", "is out of range"},
		{"OCTOSTORE_LANE", "off", ""},
		{"OCTOSTORE_LANE", "true", "is not one of the known words"},
		{"OCTOSTORE_AUDIT_LEVEL", "all", ""},
		{"OCTOSTORE_AUDIT_LEVEL", "ALL", "is not one of the known words"},
		{"OCTOSTORE_AUDIT_RETENTION", "7d", ""},
		{"OCTOSTORE_AUDIT_RETENTION", "36500d", ""},
		{"OCTOSTORE_AUDIT_RETENTION", "36h", ""},
		{"OCTOSTORE_AUDIT_RETENTION", "0", "is out of range"},
		{"OCTOSTORE_AUDIT_RETENTION", "36501d", "is out of range"},
		{"OCTOSTORE_AUDIT_RETENTION", "1.5d", "is not a duration"},
		{"OCTOSTORE_AUDIT_RETENTION", "-1d", "is negative"},
		{"OCTOSTORE_AUDIT_RETENTION", "999999999999d", "is not a duration"},
		{"OCTOSTORE_TOKEN_RETENTION", "1s", ""},
		{"OCTOSTORE_TOKEN_RETENTION", "0", "is out of range"},
		{"OCTOSTORE_TOKEN_RETENTION", "36501d", "is out of range"},
		{"OCTOSTORE_AUDIT_MAX_SIZE", "500MiB", ""},
		{"OCTOSTORE_AUDIT_MAX_SIZE", "1048576", ""},
		{"OCTOSTORE_AUDIT_MAX_SIZE", "1TiB", ""},
		{"OCTOSTORE_AUDIT_MAX_SIZE", "1048575", "is out of range"},
		{"OCTOSTORE_AUDIT_MAX_SIZE", "1025TiB", "is out of range"},
		{"OCTOSTORE_AUDIT_MAX_SIZE", "9223372036854775807TiB", "is out of range"},
		{"OCTOSTORE_AUDIT_MAX_SIZE", "4GB", "is not a size"},
		{"OCTOSTORE_AUDIT_MAX_SIZE", "-1", "is out of range"},
		{"OCTOSTORE_STORE", "postgres", "is not one of the known words"},
		{"OCTOSTORE_ETCD_ENDPOINTS", "127.0.0.1:2379", `has "127.0.0.1:2379", which is not http://HOST:PORT`},
		{"OCTOSTORE_ETCD_ENDPOINTS", "http://a:2379,https://b:2379", "has http and https"},
		{"OCTOSTORE_ETCD_ENDPOINTS", "http://a", `has "http://a", which has no port`},
		{"OCTOSTORE_ETCD_ENDPOINTS", "http://a:2379,", `has "", which is not http://HOST:PORT`},
		{"OCTOSTORE_ETCD_ENDPOINTS", "http://me:secret@a:2379", "has a user or a password"},
		{"OCTOSTORE_ETCD_ENDPOINTS", "http://a:2379", "has no effect without OCTOSTORE_STORE=etcd"},
		{"OCTOSTORE_ETCD_PREFIX", "octostore/", "is not a path between two slashes"},
		{"OCTOSTORE_ETCD_PREFIX", "/", "is not a path between two slashes"},
		{"OCTOSTORE_ETCD_PREFIX", "/a//b/", "has characters that a prefix must not have"},
		{"OCTOSTORE_ETCD_LEASE", "1s", "is out of range"},
		{"OCTOSTORE_ETCD_LEASE", "2500ms", "is out of range"},
		{"OCTOSTORE_ETCD_LEASE", "5s", "has no effect without OCTOSTORE_STORE=etcd"},
		{"OCTOSTORE_NODE", "a/b", "has characters that a node's name must not have"},
		{"OCTOSTORE_NODE", strings.Repeat("n", 64), "has 64 characters, not 1 to 63"},
		{"OCTOSTORE_NODE", "another-one", "has no effect without OCTOSTORE_STORE=etcd"},
		{"OCTOSTORE_ADVERTISE_URL", "http://0.0.0.0:3000", "is an address to listen on"},
		{"OCTOSTORE_ADVERTISE_URL", "http://a:3000/locks", `has "http://a:3000/locks", which has more than a host`},
		{"OCTOSTORE_ADVERTISE_URL", "http://a:3000", "has no effect without OCTOSTORE_STORE=etcd"},
		{"OCTOSTORE_AUDIT_ARCHIVE", "archive", ""},
		{"OCTOSTORE_LOG_FORMAT", "json", ""},
		{"OCTOSTORE_LOG_FORMAT", "xml", "is not one of the known words"},
		{"OCTOSTORE_LOG_LEVEL", "debug", ""},
		{"OCTOSTORE_LOG_LEVEL", "trace", "is not one of the known words"},
	}
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			_, err := load(t, tt.name+"="+tt.value)
			if tt.problem == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			var mistakes Mistakes
			if !errors.As(err, &mistakes) || len(mistakes) != 1 {
				t.Fatalf("got %v, want one mistake", err)
			}
			m := mistakes[0]
			if m.Name != tt.name || m.Text != tt.value || !strings.HasPrefix(m.Problem, tt.problem) {
				t.Errorf("got %v, want %s %q %s", m, tt.name, tt.value, tt.problem)
			}
		})
	}
}

func TestLoadReportsAllMistakesAtOnce(t *testing.T) {
	_, err := load(t, "OCTOSTORE_ADDR=nowhere", "OCTOSTORE_MAX_TTL=x", "OCTOSTORE_LOG_LEVEL=loud")
	const want = `3 settings cannot be used:
  OCTOSTORE_ADDR="nowhere" is not HOST:PORT; want an address with a port, such as 127.0.0.1:3000, localhost:3000 or 0.0.0.0:3000
  OCTOSTORE_MAX_TTL="x" is not a duration; want 1s to 30d
  OCTOSTORE_LOG_LEVEL="loud" is not one of the known words; want debug, info, warn or error`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDefaultThatNoLongerFitsIsAMistake(t *testing.T) {
	_, err := load(t, "OCTOSTORE_MAX_TTL=30s")
	const want = `a setting cannot be used:
  OCTOSTORE_DEFAULT_TTL="60s" (default) is out of range; want 1s to OCTOSTORE_MAX_TTL`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCertificateNeedsItsKey(t *testing.T) {
	for given, want := range map[string]string{
		"OCTOSTORE_TLS_CERT": `OCTOSTORE_TLS_KEY="none" (default) is missing, for there is OCTOSTORE_TLS_CERT`,
		"OCTOSTORE_TLS_KEY":  `OCTOSTORE_TLS_CERT="none" (default) is missing, for there is OCTOSTORE_TLS_KEY`,
	} {
		if _, err := load(t, given+"=x.pem"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s alone: got %v, want %s", given, err, want)
		}
	}
	if _, err := load(t, "OCTOSTORE_TLS_CERT=x.pem", "OCTOSTORE_TLS_KEY=y.pem"); err != nil {
		t.Error(err)
	}
}

func TestEnvironmentWinsOverTheFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".env", "OCTOSTORE_DB=from-file.db\nexport OCTOSTORE_MAX_WAIT=\"90\" # seconds\nOTHER=x\n")
	got, err := Load(Sources{Environ: []string{"OCTOSTORE_DB=from-env.db", "OCTOSTORE_LOG_LEVEL="}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]string{
		"OCTOSTORE_DB":        {"from-env.db", FromEnvironment},
		"OCTOSTORE_MAX_WAIT":  {"90", ".env"},
		"OCTOSTORE_LOG_LEVEL": {"info", FromDefault}, // an empty value counts as none
	}
	for _, v := range got.Values {
		if w, asked := want[v.Name]; asked && w != [2]string{v.Text, v.Source} {
			t.Errorf("%s is %q from %s, want %q", v.Name, v.Text, v.Source, w)
		}
	}
	if got.DB != "from-env.db" || got.MaxWait != 90*time.Second {
		t.Errorf("got %+v", got.Config)
	}
}

func TestNamedFileHasToExist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.env")
	if _, err := Load(Sources{EnvFile: path}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
}

func TestBrokenFileIsRefusedByLineWithoutShowingIt(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no equals sign", "A=1\n\nhunter2\nB=2\n", "line 3 is not NAME=VALUE"},
		{"no newline at the end", "A=1\nhunter2", "line 2 is not NAME=VALUE"},
		{"quote left open", "A=1\nB=\"hunter2\nC=3\n", "line 2 is not NAME=VALUE"},
		{"name with a blank", "hunter2!=3\n", "line 1 is not NAME=VALUE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.env")
			write(t, path, tt.text)
			_, err := Load(Sources{EnvFile: path})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the message shows the content: %v", err)
			}
		})
	}
}

func TestUnknownVariablesAreNamedAndClientOnesAreKnown(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, ".env", "OCTOSTORE_MAXWAIT=1m\nPATH=/bin\n")
	got, err := Load(Sources{Environ: []string{
		"OCTOSTORE_TTL=1s", "OCTOSTORE_URL=http://localhost:3000", "OCTOSTORE_TOKEN=x", "OCTO_X=1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []Unknown{{"OCTOSTORE_TTL", FromEnvironment}, {"OCTOSTORE_MAXWAIT", ".env"}}
	if !slices.Equal(got.Unknown, want) {
		t.Errorf("unknown: got %v, want %v", got.Unknown, want)
	}
}

func TestSettingsAreComplete(t *testing.T) {
	for _, s := range Settings() {
		if !strings.HasPrefix(s.Name, "OCTOSTORE_") || s.Default == "" || s.Want == "" || !strings.HasSuffix(s.Doc, ".") {
			t.Errorf("incomplete setting: %+v", s)
		}
	}
}

func TestExampleFileIsTheTableOfSettings(t *testing.T) {
	text, err := os.ReadFile("../../../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Example(), string(text)); diff != "" {
		t.Errorf(".env.example is stale, write it anew with: octostore config --example > .env.example\n(-table +file):\n%s", diff)
	}
}

func TestExampleFileHoldsTheDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "all.env")
	write(t, path, strings.ReplaceAll(Example(), "#OCTOSTORE_", "OCTOSTORE_"))
	got, err := Load(Sources{EnvFile: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range got.Values {
		if v.Text != v.Default || v.Source != path {
			t.Errorf("%s is %q from %s, want %q from the file", v.Name, v.Text, v.Source, v.Default)
		}
	}
}

func TestParseDuration(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration
		bad  bool
	}{
		{in: "90s", want: 90 * time.Second},
		{in: "1h30m", want: 90 * time.Minute},
		{in: "90", want: 90 * time.Second},
		{in: "1.5", want: 1500 * time.Millisecond},
		{in: "1d", want: 24 * time.Hour},
		{in: "1d12h", want: 36 * time.Hour},
		{in: "0.1", want: 100 * time.Millisecond},
		{in: "0", want: 0},
		{in: "-1", bad: true},
		{in: "-1s", bad: true},
		{in: "1us", bad: true},
		{in: "1e300", bad: true},
		{in: "NaN", bad: true},
		{in: "Inf", bad: true},
		{in: "", bad: true},
		{in: "1 s", bad: true},
	}
	for _, tt := range tests {
		got, err := ParseDuration(tt.in)
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v, error %v", tt.in, got, err, tt.want, tt.bad)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"90s", "90", "1.5", "1e3", "-0", "0x1p3", "NaN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err == nil && (d < 0 || d%time.Millisecond != 0) {
			t.Errorf("ParseDuration(%q) = %d ns", s, d)
		}
	})
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
