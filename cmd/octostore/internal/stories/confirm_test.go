package stories_test

import (
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// A lease that is not confirmed is over after the time to confirm it, also when the server
// is killed meanwhile; one that is confirmed has its ttl, also after that.
func TestUnconfirmedLeaseIsSoonOver(t *testing.T) {
	t.Parallel() // it waits more than it works
	dir := t.TempDir()
	p := octotest.Start(t, dir)
	confirmed := p.Take(t, "confirmed", "?ttl=1h&confirm=30s")
	if confirmed.ConfirmMS != 30_000 || confirmed.TTLMS != 3_600_000 || confirmed.ExpiresInMS > 30_000 {
		t.Errorf("got %+v", confirmed)
	}
	again := octotest.Granted(t, p.Renew(confirmed))
	if again.ConfirmMS != 0 || again.ExpiresInMS < 3_590_000 {
		t.Errorf("confirmed: %+v", again)
	}
	lost := p.Take(t, "lost", "?ttl=1h&confirm=2s")
	p.Kill()

	p = octotest.Start(t, dir)
	got := octotest.NewCaller(t, p.Addr).Ask("/v1/locks/lost/acquire?wait=1m")
	next := octotest.Granted(t, got)
	if next.FencingToken <= lost.FencingToken || next.WaitedMS > (2*time.Second+octotest.Promptly).Milliseconds() {
		t.Errorf("the next holder waited %d ms", next.WaitedMS)
	}
	if l := p.Look("confirmed").Lease; l == nil || l.ConfirmMS != 0 || l.ExpiresInMS < 3_590_000 {
		t.Errorf("after the restart: %+v", l)
	}
	if record := octotest.Call("GET", p.Addr, "/v1/audit?kind=expired&prefix=lost").Body; !strings.Contains(record, `"cause":"not confirmed`) {
		t.Errorf("the audit log does not say why the lease ended: %s", record)
	}
}
