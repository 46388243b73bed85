package server

import (
	"net"
	"net/http"
)

// serveHTTP begins to accept connections.
func (s *server) serveHTTP() {
	s.accept(s.api.Server(), s.api.Listener(s.listener))
	if s.admin != nil {
		s.accept(s.api.AdminServer(), s.admin)
	}
}

func (s *server) accept(on *http.Server, l net.Listener) {
	s.http = append(s.http, on)
	if s.certificate == nil {
		go func() { s.served <- on.Serve(l) }()
		return
	}
	on.TLSConfig = s.certificate.ServerConfig()
	go func() { s.served <- on.ServeTLS(l, "", "") }()
}
