package server

import (
	"net"
	"net/http"
)

// serveHTTP begins to accept connections.
func (s *server) serveHTTP() {
	s.accept(s.api.Server(), s.api.Listener(s.listener), s.sockets.Main != nil)
	if s.admin != nil {
		s.accept(s.api.AdminServer(), s.admin, s.sockets.Admin != nil)
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
	if kept {
		s.accepting.Go(func() { s.served <- serve() })
		return
	}
	go func() { s.served <- serve() }()
}

// status is the line about the server that systemctl status shows.
func (s *server) status() string { return "serving on " + s.url() }
