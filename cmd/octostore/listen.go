package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/transport"
)

// listen binds the addresses.
func (s *server) listen(cfg config.Config) (err error) {
	if s.listener, err = listen("OCTOSTORE_ADDR", string(cfg.Addr)); err != nil || cfg.AdminAddr == "" {
		return err
	}
	s.admin, err = listen("OCTOSTORE_ADMIN_ADDR", string(cfg.AdminAddr))
	return err
}

// exposed returns an address that others than this machine can reach, empty if there is
// none among those that are bound.
func (s *server) exposed(cfg config.Config) string {
	switch {
	case s.listener != nil && !isLoopback(s.listener):
		return string(cfg.Addr)
	case s.admin != nil && !isLoopback(s.admin):
		return string(cfg.AdminAddr)
	}
	return ""
}

// listen binds the address of a setting. Connections are of plain TCP, never of multipath
// TCP: a socket of that tells of its first path only, so the end of a client's connection
// could not be seen.
func listen(setting, addr string) (net.Listener, error) {
	var of net.ListenConfig
	of.SetMultipathTCP(false)
	l, err := of.Listen(context.Background(), "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &portTakenError{setting, addr}
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// portTakenError means that another process listens on an address.
type portTakenError struct{ setting, addr string }

func (e *portTakenError) Error() string {
	return fmt.Sprintf("listen on %s: the port is taken, perhaps by another octostore; %s names another", e.addr, e.setting)
}

// isLoopback reports whether only this machine reaches a listener. What counts is what
// is bound: a hosts file may say anything about localhost.
func isLoopback(l net.Listener) bool {
	bound, is := l.Addr().(*net.TCPAddr)
	return is && bound.IP.IsLoopback()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// exposedError means that strangers could reach a server that asks nobody for a token.
type exposedError struct{ addr string }

func (e *exposedError) Error() string {
	return fmt.Sprintf("listen on %s: this is not a loopback address, and without tokens whoever reaches the server may take and break any lock; "+
		"make a first token with octostore token create --admin --create, name a file of tokens by OCTOSTORE_TOKENS_FILE, or let people log in by GitHub", e.addr)
}

var listenersOf = map[config.Listeners]transport.Listeners{
	"both":  transport.Both,
	"main":  transport.MainOnly,
	"admin": transport.AdminOnly,
}

// serveHTTP begins to accept connections.
func (s *server) serveHTTP() {
	s.accept(s.api.Server(), s.listener)
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
	on.TLSConfig = s.certificate.config()
	go func() { s.served <- on.ServeTLS(l, "", "") }()
}
