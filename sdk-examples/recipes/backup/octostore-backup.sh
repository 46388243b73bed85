#!/bin/sh
# Back up the database of an OctoStore server, verify the backup, copy it to object storage,
# and remove old ones. octostore-backup.service runs it; /etc/octostore/backup.env has:
#
#   OCTOSTORE_URL, OCTOSTORE_TOKEN_FILE   the server, and a token with the scope admin
#   BACKUP_DIR      a folder on this machine that only its user can read; the service has one
#   BACKUP_REMOTE   where backups are kept: s3://BUCKET/PATH for the AWS CLI, else
#                   REMOTE:PATH for rclone (a remote of type crypt encrypts them)
#   KEEP_LOCAL      how many stay on this machine (7)
#   KEEP_DAYS       how many days they are kept remotely, by rclone (30); a bucket of S3
#                   needs a lifecycle rule instead
set -eu
umask 077
: "${BACKUP_DIR:?}" "${BACKUP_REMOTE:?}"

name=octostore-$(date -u +%Y%m%dT%H%M%SZ).db
file=$BACKUP_DIR/$name

rm -f "$BACKUP_DIR"/octostore-*.db.partial-* # of a run that was killed
octostore backup "$file"
octostore backup --verify "$file" || {
    code=$?
    rm -f "$file"
    exit "$code"
}

# Old ones on this machine go as soon as there is a good new one: they must not fill the disk
# while the object storage cannot be reached.
find "$BACKUP_DIR" -type f -name 'octostore-*.db' | sort -r | tail -n "+$((${KEEP_LOCAL:-7} + 1))" |
    while IFS= read -r old; do rm -f "$old"; done

case $BACKUP_REMOTE in
s3://*)
    aws s3 cp --only-show-errors "$file" "${BACKUP_REMOTE%/}/$name"
    ;;
*)
    rclone copyto "$file" "${BACKUP_REMOTE%/}/$name" # else the script ends, and removes nothing there
    rclone delete --min-age "${KEEP_DAYS:-30}d" --include 'octostore-*.db' "$BACKUP_REMOTE"
    ;;
esac
