#!/bin/sh
# After the files are gone. The database stays until `apt-get purge`; rpm has no purge, and
# never removes it. The user stays, since backups may belong to it.
set -e

case $1 in
remove | 0)
	rm -rf /var/cache/octostore # policies, which are compiled again
	;;
purge)
	rm -rf /var/cache/octostore /etc/octostore
	rm -rf /var/lib/octostore || [ -z "$(ls -A /var/lib/octostore)" ] # a mount point stays, empty
	;;
esac
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
