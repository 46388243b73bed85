// Package server is octostore serve: it opens all parts of a server from the inside out,
// connects them, and closes them from the outside in. It is the composition root. Only
// serve imports it, and bench, which uses the same process settings.
package server

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/cmd/octostore/internal/systemd"
	"github.com/octostore/octostore/cmd/octostore/internal/tracing"
	"github.com/octostore/octostore/cmd/octostore/internal/version"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/transport"
)

// Timeouts of the steps of a stop. Their sum is below stopTime, after which the process
// gives up on a disk that does not answer.
const (
	answerTime   = time.Second     // to answer all waiters
	shutdownTime = 2 * time.Second // to finish the requests under way
	spanTime     = time.Second     // to send the last spans
	stopTime     = 4500 * time.Millisecond

	// A node of a cluster takes longer: it hands its term over, and forwards for a while.
	handOverTime = 5 * time.Second
	lingerTime   = 250 * time.Millisecond
	forwardTime  = 500 * time.Millisecond // for forwarded requests once the listeners are closed
)

// server is a running OctoStore: its parts, opened from the inside out and closed
// from the outside in.
type server struct {
	log         *slog.Logger
	cfg         config.Config
	started     time.Time
	settings    []config.Value         // with their sources, to be shown
	unit        *systemd.Unit          // nil: not of systemd
	sockets     systemd.Sockets        // that systemd keeps open over restarts
	accepting   sync.WaitGroup         // connections to those
	certificate *preflight.Certificate // nil: no TLS
	listener    net.Listener
	admin       net.Listener // nil: there is none
	exposed     string       // address that others can reach; empty: none
	door        *transport.Door
	policies    *policies // nil: there are none
	node        *node     // nil: the process is alone
	current     atomic.Pointer[term]
	http        []stopper
	served      chan error // the error that ended a listener
	hangups     *hangups
	tracer      *tracing.Tracer // nil: there are no traces
	watched     watchedFiles

	// tokensChanged: the tokens file may have changed since the newest term began to read it.
	tokensChanged atomic.Bool
}

// start opens all parts and begins to accept connections. The settings are only shown to
// administrators. The caller stops the server.
func start(
	ctx context.Context, unit *systemd.Unit, cfg config.Config, log *slog.Logger, from stores, settings ...config.Value,
) (_ *server, err error) {
	s := &server{log: log, cfg: cfg, unit: unit, started: time.Now(), settings: settings, served: make(chan error, 2)} // one for each listener
	defer func() {
		if err != nil {
			_ = s.close() // the first error is the one to return
			s.sendSpans()
		}
	}()
	if s.sockets, err = unit.Sockets(); err != nil {
		return nil, err
	}
	s.watched = newWatchedFiles(s, cfg) // before they are read
	parts, err := preflight.Prepare(cfg, s.sockets.Main, s.sockets.Admin)
	if err != nil {
		return nil, err
	}
	s.listener, s.admin, s.certificate, s.exposed = parts.Listener, parts.Admin, parts.Certificate, parts.Exposed(cfg)
	s.tracer = tracing.Open(ctx, tracing.Config{Getenv: os.Getenv, Console: os.Stdout, Logger: log, Version: version.Own()})
	if cfg.Policies != "" {
		if s.policies, err = openPolicies(ctx, cfg, s.tracer, log); err != nil {
			return nil, err
		}
		s.policies.files = s.watched.policies
	}
	s.door = newDoor(s, cfg)
	if err := s.open(ctx, from); err != nil {
		return nil, err
	}
	s.serveHTTP(cfg)
	s.hangups = onHangup(s.reload)
	s.watched.begin(cfg.WatchFiles)
	s.tell()
	return s, nil
}

// open opens what the server serves: a file at once, and the table of a cluster when it is this
// process's turn.
func (s *server) open(ctx context.Context, from stores) error {
	if s.cfg.Store == config.Etcd {
		return s.joinCluster(ctx, from.cluster)
	}
	store, err := from.file(ctx, string(s.cfg.DB), s.log)
	if err != nil {
		return err // it names the file
	}
	t, err := s.openTerm(ctx, store)
	if err != nil {
		return err
	}
	s.serve(t)
	return nil
}

// tell logs where the server listens.
func (s *server) tell() {
	at := []any{"addr", s.listener.Addr().String(), "tls", s.certificate != nil}
	if s.node == nil {
		at = append(at, "db", string(s.cfg.DB))
	} else {
		at = append(at, "node", s.node.name)
	}
	s.log.Info("listening", append(at, "version", version.Own())...)
	if s.sockets.Main != nil {
		s.log.Info("the main socket is one that systemd keeps open; OCTOSTORE_ADDR is not used")
	}
	if s.admin != nil {
		s.log.Info("listening for administration", "addr", s.admin.Addr().String())
	}
	if s.node != nil {
		return
	}
	warnVolatile(s.log, string(s.cfg.DB))
	if !s.serving().tokens.TokensRequired() {
		s.log.Info("without tokens every user of this machine may do everything; create the first token with: " + firstToken(s.url()))
	}
}

// url returns the URL of the server for clients on this machine.
func (s *server) url() string {
	if s.certificate != nil {
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}

// firstToken returns the command that creates the first token on the running server, which
// has the database locked.
func firstToken(url string) string { return "OCTOSTORE_URL=" + url + " octostore token create --admin" }

// warnVolatile warns if the database does not survive a restart of the machine.
func warnVolatile(log *slog.Logger, db string) {
	dir, err := filepath.Abs(filepath.Dir(db))
	if err == nil && sqlite.Volatile(dir) {
		log.Log(context.Background(), slog.LevelWarn, preflight.VolatilePlace, "dir", dir)
	}
}
