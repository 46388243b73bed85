#!/bin/sh
# After the files are in place. dpkg calls it with "configure" and the version before, if there
# was one; rpm with the number of versions that are installed.
set -e

case $1 in
configure) [ -z "$2" ] || upgrade=yes ;;
abort-*) exit 0 ;;
1) ;;
*) upgrade=yes ;;
esac

if command -v systemd-sysusers >/dev/null 2>&1; then
	systemd-sysusers octostore.conf
elif ! id octostore >/dev/null 2>&1; then
	useradd --system --user-group --no-create-home --home-dir /var/lib/octostore \
		--shell /usr/sbin/nologin --comment 'OctoStore lock service' octostore
fi

# The settings may contain secrets, and the database does. The package has the modes; settings that
# the operator has deleted, or given to another group, stay as they are.
for f in /etc/octostore /etc/octostore/octostore.env; do
	if [ -e "$f" ] && [ "$(stat -c %G "$f")" = root ]; then
		chgrp -h octostore "$f"
	fi
done
[ -d /var/lib/octostore ] || install -d -m 0700 -o octostore -g octostore /var/lib/octostore

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	# A server that runs goes on with the new version. Leases survive that.
	[ -z "${upgrade-}" ] || systemctl try-restart octostore.service || true
fi
# A new server is not started: without tokens every user of this machine could take every lock.
