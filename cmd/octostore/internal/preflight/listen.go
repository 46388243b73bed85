package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/octostore/octostore/cmd/octostore/internal/config"
)

// listen binds the address of a setting. It turns multipath TCP off, because such a socket
// reports only its first path, which hides that a client has hung up.
func listen(setting, addr string) (net.Listener, error) {
	var of net.ListenConfig
	of.SetMultipathTCP(false)
	l, err := of.Listen(context.Background(), "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &PortTakenError{setting, addr}
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// PortTakenError means that another process listens on an address.
type PortTakenError struct{ setting, addr string }

func (e *PortTakenError) Error() string {
	return fmt.Sprintf("listen on %s: the port is taken, perhaps by another octostore; %s names another", e.addr, e.setting)
}

// isLoopback reports whether only this machine can reach a listener. It looks at the bound
// address, because a hosts file may map localhost to any address.
func isLoopback(l net.Listener) bool {
	bound, is := l.Addr().(*net.TCPAddr)
	return is && bound.IP.IsLoopback()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// ExposedError means that other machines could reach a server without tokens.
type ExposedError struct{ Addr string }

func (e *ExposedError) Error() string {
	return fmt.Sprintf("listen on %s: this is not a loopback address, and without tokens every client may take and break any lock; "+
		"create a first token with octostore token create --admin --create, set OCTOSTORE_TOKENS_FILE, or set up login with GitHub", e.Addr)
}

// listen binds the addresses for which there is no listener yet.
func (p *Parts) listen(cfg config.Config) (err error) {
	if p.Listener == nil {
		if p.Listener, err = listen("OCTOSTORE_ADDR", string(cfg.Addr)); err != nil {
			return err
		}
	}
	if p.Admin == nil && cfg.AdminAddr != "" {
		p.Admin, err = listen("OCTOSTORE_ADMIN_ADDR", string(cfg.AdminAddr))
	}
	return err
}

// Exposed returns a bound address that other machines can reach, or an empty string.
func (p *Parts) Exposed(cfg config.Config) string {
	switch {
	case p.Listener != nil && !isLoopback(p.Listener):
		return cmp.Or(p.given[0], string(cfg.Addr))
	case p.Admin != nil && !isLoopback(p.Admin):
		return cmp.Or(p.given[1], string(cfg.AdminAddr))
	}
	return ""
}
