package systemd

import (
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// pingsPerInterval is how often the watchdog is told within its interval that all is well.
// A check that takes a while then still leaves time for the next one.
const pingsPerInterval = 4

// Watch tells the watchdog of systemd that the service is well, as long as alive returns
// nil. An alive that fails or does not return leaves the watchdog to kill the process, after
// WatchdogSec. The returned function ends the watch; it does not wait for an alive that
// hangs. Without a watchdog nothing is called.
func (u *Unit) Watch(alive func() error) (end func()) {
	if u == nil || u.watchdog == 0 {
		return func() {}
	}
	ended := make(chan struct{})
	go u.watch(alive, ended)
	return sync.OnceFunc(func() { close(ended) })
}

func (u *Unit) watch(alive func() error, ended <-chan struct{}) {
	tick := time.NewTicker(u.watchdog / pingsPerInterval)
	defer tick.Stop()
	well := true
	for {
		err := alive()
		select {
		case <-ended:
			return
		default:
		}
		switch {
		case err == nil && well:
			u.notify(daemon.SdNotifyWatchdog)
		case err == nil:
			u.log.Info("the watchdog is fed again")
			u.notify(daemon.SdNotifyWatchdog + "\nSTATUS=serving")
		case well:
			u.log.Error("the watchdog is not fed; systemd ends the process if this goes on", "err", err, "after", u.watchdog)
			u.Status("not well: " + err.Error())
		}
		well = err == nil
		select {
		case <-ended:
			return
		case <-tick.C:
		}
	}
}
