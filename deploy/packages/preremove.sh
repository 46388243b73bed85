#!/bin/sh
# Before the files go: "remove" of dpkg, 0 of rpm. An upgrade stops nothing.
set -e

case $1 in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl disable --now octostore.socket octostore-admin.socket octostore.service || true
fi
