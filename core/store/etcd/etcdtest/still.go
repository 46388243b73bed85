package etcdtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// StandsStill reports whether no thread of a process that was sent SIGSTOP runs any more. On a busy machine
// that takes a while. Where there is no /proc it has to be believed.
func StandsStill(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, file := range threads {
		stat, _ := os.ReadFile(file) // a thread that has ended has none
		if _, after, found := strings.Cut(string(stat), ") "); found && !strings.HasPrefix(after, "T") {
			return false
		}
	}
	return err == nil
}

// stop pauses the process, and waits until it stands still.
func (n *node) stop() error {
	if err := n.signal(stopSignal); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for began := time.Now(); !StandsStill(n.pid); time.Sleep(time.Millisecond) {
		if time.Since(began) > readyAfter {
			return fmt.Errorf("etcd goes on %s after SIGSTOP", readyAfter)
		}
	}
	return nil
}
