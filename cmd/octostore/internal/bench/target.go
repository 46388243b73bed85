package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/ceiling"
	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/peer"
	"github.com/octostore/octostore/cmd/octostore/internal/bench/internal/usage"
	"github.com/octostore/octostore/cmd/octostore/internal/child"
	"github.com/octostore/octostore/core/auth"
)

// target is a server under load.
type target struct {
	addr     string // host:port
	token    string
	promises bool // it is a lock service, so its answers are checked
	prefix   string
	client   *http.Client // for metrics
	peer     *peer.Server // nil: an OctoStore server or the ceiling
	close    func()
}

// ServeCeiling serves the ceiling in this process until ctx ends. It prints on out where it
// listens, in the format of an OctoStore server.
func ServeCeiling(ctx context.Context, out io.Writer) error { return ceiling.Serve(ctx, out) }

// openTarget returns a server: the one the user named, or one that it starts.
func openTarget(ctx context.Context, cfg Config, p serverKind) (*target, error) {
	transport := &http.Transport{DisableCompression: true}
	t := &target{
		promises: p != onCeiling,
		// A prefix of its own for every run, so that runs on one server do not share locks.
		prefix: "bench/" + strings.ToLower(rand.Text()[:8]) + "/",
		client: &http.Client{Transport: transport, Timeout: 10 * time.Second},
		close:  transport.CloseIdleConnections,
	}
	if p == onCeiling && cfg.Mode == Compare {
		t.token = auth.NewSecret() // the same requests as to the server
	}
	if name := peers[p]; name != "" {
		return t, t.startPeer(ctx, cfg, name)
	}
	if p == onServer && cfg.URL != "" {
		t.token = cfg.Token
		return t, t.find(cfg.URL)
	}
	stop, err := t.start(ctx, cfg, p)
	if err != nil {
		return nil, err
	}
	t.close = func() {
		transport.CloseIdleConnections()
		stop()
	}
	return t, nil
}

// startPeer starts another program.
func (t *target) startPeer(ctx context.Context, cfg Config, name string) error {
	server, err := peer.Start(ctx, name, cfg.Dir, cfg.mostConnections())
	if err != nil {
		return err
	}
	t.peer, t.close = server, server.Stop
	return nil
}

// find sets the address of the server that the user named.
func (t *target) find(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if u.Scheme != "http" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("url %q: want http://host:port, since the load is plain HTTP without a proxy between", raw)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	t.addr = net.JoinHostPort(u.Hostname(), port)
	return nil
}

// start starts a server, and returns the function that stops it and removes its files.
func (t *target) start(ctx context.Context, cfg Config, p serverKind) (stop func(), err error) {
	argv, what := cfg.CeilingServer, "ceiling server"
	if p != onCeiling {
		argv, what = cfg.Serve, "server"
	}
	if len(argv) == 0 {
		return nil, errors.New(what + ": no command to start it with")
	}
	dir, err := os.MkdirTemp(cfg.Dir, "octostore-bench-")
	if err != nil {
		return nil, err
	}
	settings := append(child.Open(),
		"OCTOSTORE_ADDR=127.0.0.1:0",
		"OCTOSTORE_DB="+filepath.Join(dir, "octostore.db"),
		"OCTOSTORE_ACCOUNT_RATE=1000000", // the limit is on, but out of reach
	)
	if cfg.guards(p) {
		t.token = auth.NewSecret()
		file := filepath.Join(dir, "tokens")
		if err := os.WriteFile(file, []byte("bench:"+t.token+"\n"), 0o600); err != nil {
			os.RemoveAll(dir)
			return nil, err
		}
		// One account has all locks and waiters.
		settings = append(settings, "OCTOSTORE_TOKENS_FILE="+file,
			"OCTOSTORE_ACCOUNT_LOCKS=0", "OCTOSTORE_ACCOUNT_WAITERS=0", "OCTOSTORE_ACCOUNT_IN_FLIGHT=0")
	}
	if p == onVariant {
		settings = append(settings, cfg.Variant...)
	}
	server, err := child.Start(ctx, argv, settings)
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	t.addr = server.Addr
	return func() {
		server.Stop()
		os.RemoveAll(dir)
	}, nil
}

// name returns a lock name of this run.
func (t *target) name(rest string) string { return t.prefix + rest }

// request returns a request for a lock, without a body, that ends in last: the empty line,
// or the beginning of one more header.
func (t *target) request(method, path, last string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s /v1/locks/%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: octostore-bench\r\n", method, path, t.addr)
	if t.token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", t.token)
	}
	if method == "POST" {
		b.WriteString("Content-Length: 0\r\n")
	}
	b.WriteString(last)
	return []byte(b.String())
}

// look returns the present CPU times, with the server at t.
func look(ctx context.Context, t *target) (usage.CPUTimes, error) {
	server, err := t.usage(ctx)
	if err != nil || server.CPU == usage.Unknown {
		return usage.CPUTimes{}, err
	}
	return usage.ReadCPUTimes(server.CPU), nil
}

// usage reads the metrics of the server, or what the system tells about a peer.
func (t *target) usage(ctx context.Context) (usage.Usage, error) {
	if t.peer != nil {
		return t.peer.Usage(), nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.addr+"/metrics", nil)
	if err != nil {
		return usage.Usage{}, err
	}
	if t.token != "" {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return usage.Usage{}, fmt.Errorf("metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// A server may refuse its metrics; it can be measured without them.
		io.Copy(io.Discard, resp.Body)
		return usage.Read(strings.NewReader(""))
	}
	return usage.Read(resp.Body)
}
