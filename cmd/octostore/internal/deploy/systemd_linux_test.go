package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// A real systemd, as the first process of a copy of this system, runs the service with all its
// hardening: it starts, reloads, restarts without refusing a connection, is killed by the
// watchdog when it is stuck, and comes back each time with its lease.
func TestServiceRunsUnderSystemd(t *testing.T) {
	if testing.Short() {
		t.Skip("boots systemd, with a binary that is the same with the race detector")
	}
	const systemd = "/lib/systemd/systemd"
	if _, err := os.Stat(systemd); err != nil {
		t.Skip("SKIP: systemd is not installed")
	}
	octotest.NeedTools(t, "curl", "systemd-sysusers", "pivot_root")
	binary, err := static()
	if err != nil {
		t.Fatal(err)
	}
	share := t.TempDir()
	for _, name := range []string{"octostore.service", "octostore.socket", "octostore.sysusers"} {
		if err := os.WriteFile(filepath.Join(share, name), []byte(read(t, "deploy/systemd/"+name)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", binary, filepath.Join(share, "octostore")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := imageCommand(t, share, serviceStory, `
mkdir -p "$root/sys"; mount --rbind /sys "$root/sys"
cd "$root"; : >etc/machine-id; rm -rf etc/systemd/system/*.wants var/lib/octostore
install -m 0755 packages/octostore usr/bin/octostore
cp packages/octostore.service packages/octostore.socket etc/systemd/system
mkdir -p etc/sysusers.d; cp packages/octostore.sysusers etc/sysusers.d/octostore.conf
cat >etc/systemd/system/story.service <<'END'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
StandardOutput=file:/packages/out
StandardError=file:/packages/out
ExecStart=/bin/sh -e /script
ExecStopPost=/bin/systemctl exit --force
END
pivot_root . opt; cd /; umount -l opt
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin `+systemd+` --system --unit=story.service --log-target=null --show-status=false
`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended: // its code is that of systemd
	case <-time.After(3 * time.Minute):
		_ = cmd.Process.Kill() // and with it everything in its namespace
		<-ended
	}
	out, err := os.ReadFile(filepath.Join(share, "out"))
	if err != nil {
		t.Skip("SKIP: systemd does not run here as the first process of a namespace")
	}
	if !strings.HasSuffix(string(out), "\npassed\n") {
		t.Errorf("the story ends early:\n%s", out)
	}
}

const serviceStory = `
exec 2>&1
say() { echo "--- $*"; }
fail() { echo "FAILED: $*"; systemctl status --no-pager octostore || true; exit 1; }
within() { i=0; until "$@"; do i=$((i+1)); [ $i -lt 300 ] || fail "not so: $*"; sleep 0.1; done; }
url=http://127.0.0.1:3000
get() { curl -s -m 20 "$@"; }
pid() { systemctl show -p MainPID --value octostore; }

say start
systemd-sysusers
mkdir -p /run/systemd/system/octostore.service.d
printf '[Service]\nWatchdogSec=2\n' >/run/systemd/system/octostore.service.d/quick.conf
systemctl daemon-reload
systemctl start octostore || true # the first control group of a namespace may come late: it is started again
within systemctl -q is-active octostore
systemctl show -p StatusText --value octostore | grep -x "serving on $url"
[ "$(stat -c '%a %U' /var/lib/octostore)" = "700 octostore" ] || fail "the folder of the database"
[ "$(stat -c '%a %U' /var/cache/octostore)" = "700 octostore" ] || fail "the folder of compiled policies"
[ "$(stat -c %U /proc/$(pid))" = octostore ] || fail "the user"
get -f -X POST "$url/v1/locks/a/acquire?ttl=10m&holder=me" >/dev/null

say reload
before=$(pid)
systemctl reload octostore
within systemctl -q is-active octostore
[ "$(pid)" = "$before" ] || fail "a reload is a restart"

say restart with the socket
systemctl stop octostore
systemctl start octostore.socket
get -f "$url/v1/locks/a" | grep -q '"holder":"me"' || fail "the lease is gone"
(n=0; while [ ! -e /run/enough ]; do curl -s -m 20 -o /dev/null "$url/healthz" || { echo "refused: $?" >/run/refused; exit; }; n=$((n+1)); done; echo "$n requests") &
for i in 1 2 3; do systemctl restart octostore; done
touch /run/enough; wait
[ ! -e /run/refused ] || fail "a connection was $(cat /run/refused)"

say watchdog
before=$(pid)
kill -STOP "$before"
within sh -c '[ "$(systemctl show -p NRestarts --value octostore)" -ge 1 ]'
within systemctl -q is-active octostore
[ "$(pid)" != "$before" ] || fail "it is the same process"
get -f "$url/v1/locks/a" | grep -q '"holder":"me"' || fail "the lease is gone"

say kills
for i in 1 2 3 4 5 6 7 8; do
	before=$(pid)
	kill -KILL "$before"
	export before # systemd may not know yet that it is gone
	within sh -c 'now=$(systemctl show -p MainPID --value octostore) && [ "$now" != 0 ] && [ "$now" != "$before" ] && systemctl -q is-active octostore'
done

say hardening
systemctl show -p NoNewPrivileges -p ProtectSystem octostore
grep -q '^Seccomp:.*2$' "/proc/$(pid)/status" || fail "no filter of system calls"
grep -q '^CapEff:.*0000000000000000$' "/proc/$(pid)/status" || fail "it has capabilities"
echo passed
`
