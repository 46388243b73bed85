package server

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// hangups handles SIGHUP. A server with nothing to reload handles it too, because an
// unhandled SIGHUP would end the process.
type hangups struct {
	signals chan os.Signal
	ended   sync.WaitGroup
}

// onHangup calls do, in a goroutine of its own, at every SIGHUP from now on.
func onHangup(do func()) *hangups {
	h := &hangups{signals: make(chan os.Signal, 1)}
	signal.Notify(h.signals, syscall.SIGHUP)
	h.ended.Go(func() {
		for range h.signals {
			do()
		}
	})
	return h
}

// end stops the handler and waits for a call under way.
func (h *hangups) end() {
	signal.Stop(h.signals)
	close(h.signals)
	h.ended.Wait()
}

// reload reloads the certificate, the tokens file and the policies. A part that cannot be
// loaded keeps its old state.
func (s *server) reload() {
	s.unit.Reloading()
	defer func() { s.unit.Ready(s.status()) }()
	if s.certificate != nil {
		s.reloadCertificate()
	}
	if s.cfg.TokensFile != "" {
		s.reloadTokens()
	}
	if s.policies != nil {
		s.policies.reloadHere()
	}
}
