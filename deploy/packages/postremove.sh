#!/bin/sh
# After the files are gone. The database stays until `apt-get purge`; rpm has no purge, and
# never removes it. The user stays, since backups may belong to it.
set -e

case $1 in
remove | 0)
	rm -rf /var/cache/octostore # policies, which are compiled again
	;;
purge)
	rm -rf /var/cache/octostore /var/lib/octostore /etc/octostore
	;;
esac
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
