package deploy_test

import (
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// The scripts of the packages leave what an operator has changed, and an upgrade or a purge does not
// fail over it: dpkg would leave the package half installed, and the old server running.
func TestPackageScriptsLeaveWhatTheOperatorHasChanged(t *testing.T) {
	t.Log(inImage(t, octotest.Path("deploy"), `
exec 2>&1
fail() { echo "FAILED: $*"; exit 1; }
is() { [ "$(stat -c '%a %U:%G' "$2")" = "$1" ] || fail "$2 is $(stat -c '%a %U:%G' "$2"), want $1"; }
post() { sh /packages/packages/postinstall.sh "$@" || fail "postinstall.sh $*"; }
gone() { sh /packages/packages/postremove.sh "$@" || fail "postremove.sh $*"; }
mkdir -p /usr/lib/sysusers.d; cp /packages/systemd/octostore.sysusers /usr/lib/sysusers.d/octostore.conf
mkdir -m 0750 /etc/octostore; install -m 0640 /dev/null /etc/octostore/octostore.env

post configure ""
is "750 root:octostore" /etc/octostore
is "640 root:octostore" /etc/octostore/octostore.env
is "700 octostore:octostore" /var/lib/octostore

chmod 0600 /etc/octostore/octostore.env; chgrp adm /etc/octostore
post configure 1.0.0
is "600 root:octostore" /etc/octostore/octostore.env
is "750 root:adm" /etc/octostore

rm /etc/octostore/octostore.env
post configure 1.0.0
post 2
[ ! -e /etc/octostore/octostore.env ] || fail "deleted settings are back"

mount -t tmpfs none /var/lib/octostore; touch /var/lib/octostore/octostore.db
gone upgrade 1.1.0
gone 1
gone remove
gone 0
[ -e /var/lib/octostore/octostore.db ] || fail "a removal removed the database"
gone purge
[ -z "$(ls -A /var/lib/octostore)" ] || fail "a purge left the database"
[ ! -e /etc/octostore ] || fail "a purge left the settings"
`))
}
