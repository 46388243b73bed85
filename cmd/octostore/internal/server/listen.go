package server

import (
	"context"
	"net"
	"net/http"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
)

// stopper is a server that can be stopped, as an [http.Server] can.
type stopper interface {
	Shutdown(context.Context) error
	Close() error
}

// serveHTTP begins to accept connections. With TLS the lane has nothing to serve.
func (s *server) serveHTTP(cfg config.Config) {
	if main := s.door.Listener(s.listener); bool(cfg.Lane) && s.certificate == nil {
		lane := s.door.Lane()
		s.http = append(s.http, lane)
		s.begin(func() error { return lane.Serve(main) }, s.sockets.Main != nil)
	} else {
		s.accept(s.door.Server(), main, s.sockets.Main != nil)
	}
	if s.admin != nil {
		s.accept(s.door.AdminServer(), s.admin, s.sockets.Admin != nil)
	}
}

// accept accepts connections; kept means that the socket is one that systemd keeps open.
func (s *server) accept(on *http.Server, l net.Listener, kept bool) {
	s.http = append(s.http, on)
	serve := func() error { return on.Serve(l) }
	if s.certificate != nil {
		on.TLSConfig = s.certificate.ServerConfig()
		serve = func() error { return on.ServeTLS(l, "", "") }
	}
	s.begin(serve, kept)
}

// begin serves in a goroutine of its own.
func (s *server) begin(serve func() error, kept bool) {
	if kept {
		s.accepting.Go(func() { s.served <- serve() })
		return
	}
	go func() { s.served <- serve() }()
}

// status is the line about the server that systemctl status shows.
func (s *server) status() string {
	if s.node == nil || s.serving() != nil {
		return "serving on " + s.url()
	}
	if o, _ := s.node.Owner(); o.Term != 0 && o.Node != s.node.name {
		return "forwarding on " + s.url() + " to node " + o.Node
	}
	return "on " + s.url() + ", waiting for a node that serves"
}
