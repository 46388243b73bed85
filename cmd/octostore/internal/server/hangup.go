package server

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// hangups waits for SIGHUP. A server that has nothing to read again waits for it too:
// else the signal would end it.
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

// end stops to wait, and waits for a call under way.
func (h *hangups) end() {
	signal.Stop(h.signals)
	close(h.signals)
	h.ended.Wait()
}

// reload reads again what may change while the server runs. What cannot be used stays
// as it was.
func (s *server) reload() {
	if s.certificate != nil {
		if err := s.certificate.Reload(); err != nil {
			s.log.Error("the certificate is as it was", "err", err)
		} else {
			s.log.Info("the certificate was read again", "expires", s.certificate.Expires())
		}
	}
	if s.tokens.file != "" {
		s.tokens.reload()
	}
	if s.policies != nil {
		s.policies.reloadAtHangup()
	}
}
