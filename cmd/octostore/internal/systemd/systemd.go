// Package systemd is what the server says to systemd and gets from it: notifications about
// its start, reloads and stop (sd_notify), the watchdog, and listening sockets that systemd
// keeps open over restarts (socket activation). For a process that was not started by systemd
// all of it does nothing.
package systemd

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// patience is the time that systemd gets to take a notification. It takes one at once; a
// server must not hang because systemd does.
const patience = time.Second

// Unit is this process as a service of systemd. Its methods are safe for use by many
// goroutines. They do nothing on a nil *Unit.
type Unit struct {
	log      *slog.Logger
	files    []*os.File
	watchdog time.Duration // 0: there is none
	turn     chan struct{} // holds a token while a notification is sent
	failing  atomic.Bool   // the last notification was not sent
}

// Open reads the environment variables with which systemd starts a service, and removes
// those that a child process must not take for its own. It fails if they are malformed. Call
// it at most once, before anything else opens files.
func Open(log *slog.Logger) (*Unit, error) {
	watchdog, err := daemon.SdWatchdogEnabled(true)
	if err != nil {
		return nil, fmt.Errorf("watchdog of systemd: %w", err)
	}
	return &Unit{log: log, files: activation.Files(true), watchdog: watchdog, turn: make(chan struct{}, 1)}, nil
}

// Ready says that the service serves, after a start or a reload.
func (u *Unit) Ready(status string) { u.notify(daemon.SdNotifyReady + "\nSTATUS=" + status) }

// Status replaces the line that systemctl status shows.
func (u *Unit) Status(status string) { u.notify("STATUS=" + status) }

// Reloading says that a reload begins. [Unit.Ready] ends it.
func (u *Unit) Reloading() {
	u.notify(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec() + "STATUS=reloading")
}

// Stopping says that the service stops.
func (u *Unit) Stopping() { u.notify(daemon.SdNotifyStopping + "\nSTATUS=stopping") }

var errDeaf = errors.New("it does not read what is sent to it")

// notify sends a notification and waits until it is sent, but no longer than patience.
func (u *Unit) notify(state string) {
	if u == nil {
		return
	}
	giveUp := time.NewTimer(patience)
	defer giveUp.Stop()
	select {
	case u.turn <- struct{}{}:
	case <-giveUp.C:
		u.sent(errDeaf)
		return
	}
	result := make(chan error, 1)
	go func() {
		defer func() { <-u.turn }()
		_, err := daemon.SdNotify(false, state)
		result <- err
	}()
	select {
	case err := <-result:
		u.sent(err)
	case <-giveUp.C:
		u.sent(errDeaf)
	}
}

// sent logs the first of several failures.
func (u *Unit) sent(err error) {
	if was := u.failing.Swap(err != nil); err != nil && !was {
		u.log.Warn("systemd cannot be notified", "err", err)
	}
}
