package main

import (
	"strings"
	"testing"
	"time"
)

// A lease that is not confirmed is over after the time to confirm it, also when the server
// is killed meanwhile; one that is confirmed has its ttl, also after that.
func TestUnconfirmedLeaseIsSoonOver(t *testing.T) {
	t.Parallel() // it waits more than it works
	dir := t.TempDir()
	p := newProcess(t, dir)
	confirmed := take(t, p, "confirmed", "?ttl=1h&confirm=30s")
	if confirmed.ConfirmMS != 30_000 || confirmed.TTLMS != 3_600_000 || confirmed.ExpiresInMS > 30_000 {
		t.Errorf("got %+v", confirmed)
	}
	again := granted(t, renew(p, confirmed))
	if again.ConfirmMS != 0 || again.ExpiresInMS < 3_590_000 {
		t.Errorf("confirmed: %+v", again)
	}
	lost := take(t, p, "lost", "?ttl=1h&confirm=2s")
	p.kill()

	p = newProcess(t, dir)
	got := newCaller(t, p.Addr).ask("/v1/locks/lost/acquire?wait=1m")
	next := granted(t, got)
	if next.FencingToken <= lost.FencingToken || next.WaitedMS > (2*time.Second+promptly).Milliseconds() {
		t.Errorf("the next holder waited %d ms", next.WaitedMS)
	}
	if l := look(p, "confirmed").Lease; l == nil || l.ConfirmMS != 0 || l.ExpiresInMS < 3_590_000 {
		t.Errorf("after the restart: %+v", l)
	}
	if record := call("GET", p.Addr, "/v1/audit?kind=expired&prefix=lost").body; !strings.Contains(record, `"cause":"not confirmed`) {
		t.Errorf("the audit log does not say why the lease ended: %s", record)
	}
}
