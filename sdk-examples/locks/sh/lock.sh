#!/bin/sh
# Functions for a script that holds a lock of an OctoStore server over several steps; to run one command with a lock,
# use with-lock.sh instead. For POSIX shells with curl; copy it up to the line "The example".
#
#   lock_acquire deploy/prod 300 600 || exit   # NAME, ttl and patience in seconds
#   trap lock_release EXIT
#   ./copy --fencing-token "$lock_token"
#   lock_keep || exit                          # before each further step: is it still ours?
#   ./switch --fencing-token "$lock_token"
#
# Nothing renews the lease during a step: the ttl has to be twice the time of the longest step.
# Statuses: 64 usage, 69 server unavailable, 75 lock held, 77 denied, 79 lease lost.
# OCTOSTORE_URL and OCTOSTORE_TOKEN say which server.

lock_lease='' lock_token=''

lock_say() { printf 'lock: %s: %s\n' "$lock_name" "$1" >&2; }

# lock_now sets lock_clock to seconds of a clock that is never set and counts suspends, where the system has one.
lock_now() {
    { read -r lock_clock _ </proc/uptime; } 2>/dev/null || lock_clock=$(date +%s)
    lock_clock=${lock_clock%.*}
}

# lock_post SECONDS VERB LINE… sends a request with lines for curl's configuration, which comes by its standard input
# because command lines are public. -q: a .curlrc could follow redirects, and a login page is no grant.
lock_post() {
    lock_now
    lock_sent=$lock_clock lock_most=$1 lock_url=${OCTOSTORE_URL:-http://127.0.0.1:3000}
    lock_url=${lock_url%/}/v1/locks/$lock_name/$2
    shift 2
    lock_answer=$({
        printf 'url = "%s"\n' "$lock_url"
        printf '%s\n' "$@"
        [ -z "$lock_lease" ] || printf 'header = "Octostore-Lease: %s"\n' "$lock_lease"
        [ -z "${OCTOSTORE_TOKEN:-}" ] || # a line break in it would be a setting of curl
            printf 'header = "Authorization: Bearer %s"\n' "$(printf %s "$OCTOSTORE_TOKEN" | tr -d '[:space:]')"
    } | curl -q -sS -i -g -K - --connect-timeout 5 -m "$lock_most" -w '\n%{http_code}' 2>&1) &&
        lock_status=${lock_answer##*
} || lock_status=000 # no answer, or not all of it
    lock_member code
    lock_code=$lock_value
}

# lock_member NAME sets lock_value to a text or number in the JSON of the answer, or to nothing. The first counts: the
# metadata of a holder comes later, and has names of its own.
lock_member() {
    lock_value=$(printf '%s\n' "${lock_answer#*"\"$1\":"}" |
        sed -n -E '1s/^("(([^"\]|\\.)*)"|([0-9]+))[,}].*$/\2\4/p' | sed 's/\\"/"/g')
}

# lock_why says what the answer was.
lock_why() {
    lock_member detail
    [ -n "$lock_value" ] || lock_value=$(printf '%s\n' "$lock_answer" | sed -n 's/^curl: //p')
    lock_say "${lock_value:-$lock_url answered $lock_status, not the way OctoStore does}"
}

# lock_extended reports whether the answer is a grant: nothing is one but status 200 with a lease id and a token. The
# lease counts from before the request was sent, so that it ends here before it ends there.
lock_extended() {
    [ "$lock_status" = 200 ] && lock_member lease_id && [ ${#lock_value} -eq 32 ] || return 1
    lock_id=$lock_value
    lock_member fencing_token && lock_new_token=$lock_value
    lock_member server_ms && lock_span=$lock_value
    lock_member expires_in_ms
    [ -n "$lock_new_token" ] && [ -n "$lock_span" ] && [ -n "$lock_value" ] || return 1
    lock_lease=$lock_id lock_token=$lock_new_token lock_span=$(((lock_span + lock_value) / 1000))
    lock_due=$((lock_sent + lock_span / 3)) lock_last=$((lock_sent + lock_span - lock_span / 6 - 1))
}

lock_acquire() { # lock_acquire NAME [TTL [WAIT]] waits for WAIT seconds at most, outages included
    lock_name=$1 lock_ttl=${2:-60} lock_key='' lock_lease=''
    case $lock_name in
    '' | *[!A-Za-z0-9._~:@+/-]*) lock_say 'a name has letters, digits and . _ ~ : @ + - /' && return 64 ;;
    esac
    lock_confirm=$((lock_ttl < 15 ? lock_ttl : 15)) # until the first renewal: a grant lost on the way ends soon
    lock_now
    lock_give_up=$((lock_clock + ${3:-600}))
    while :; do
        # One key for all requests of one attempt: with it the place in the queue is kept.
        [ -n "$lock_key" ] || lock_key=$(od -An -v -N16 -tx1 </dev/urandom | tr -d ' \n')
        lock_left=$((lock_give_up - lock_clock))
        lock_left=$((lock_left < 0 ? 0 : lock_left > 25 ? 25 : lock_left)) # proxies cut longer waits
        lock_post $((lock_left + 10)) acquire "header = \"Idempotency-Key: $lock_key\"" \
            "data = \"ttl=${lock_ttl}s&confirm=${lock_confirm}s&wait=${lock_left}s\"" \
            "data-urlencode = \"holder=$(uname -n):$$\""
        ! lock_extended || break
        lock_pause=1
        case $lock_status-$lock_code in
        409-attempt_over) lock_key='' ;; # the grant was lost on the way, and its lease has ended
        409-held | 409-superseded | 000-* | 408-* | 425-* | 5??-*) ;;
        429-*) lock_pause=$(printf '%s\n' "$lock_answer" | sed -n 's/^[Rr]etry-[Aa]fter: *\([0-9]\{1,2\}\).*$/\1/p') ;;
        401-* | 403-*) lock_why && return 77 ;;
        400-?* | 413-?* | 422-?*) lock_why && return 64 ;;
        *) lock_why && return 69 ;;
        esac
        lock_now
        if [ "$lock_clock" -ge "$lock_give_up" ]; then
            lock_why
            [ "$lock_status" = 409 ] && return 75 || return 69
        fi
        [ $((lock_clock - lock_sent)) -gt 1 ] || sleep "${lock_pause:-1}" # else it has waited
        lock_now
    done
    lock_due=0
    lock_keep # at once, which confirms the lease
}

lock_keep() { # renews the lease if a third of it is over. Stop the work if it fails
    lock_now
    [ "$lock_clock" -ge "$lock_due" ] || return 0
    while [ "$lock_clock" -lt "$lock_last" ]; do
        lock_left=$((lock_last - lock_clock))
        lock_post $((lock_left < 5 ? lock_left : 5)) renew 'data = ""'
        ! lock_extended || return 0
        [ "$lock_code" != not_held ] || { lock_lease='' && break; }
        sleep 1
        lock_now
    done
    [ "$lock_status" = 200 ] || lock_why # else it was not asked in time
    lock_say 'the lease is lost'
    return 79
}

lock_release() { # gives the lock back. Status 79: the lease was over, so the work was not alone to its end
    [ -n "$lock_lease" ] || return 0
    lock_tries=5 lock_unsure=''
    while [ $((lock_tries -= 1)) -ge 0 ]; do
        lock_post 5 release 'data = ""'
        case $lock_status-$lock_code in
        200-*) return 0 ;;
        409-not_held) [ -z "$lock_unsure" ] && lock_why && return 79 || return 0 ;;
        esac
        lock_unsure=yes # it may have been released, and only the answer was lost
        sleep 1
    done
    lock_why # the lease ends by itself
}

# The example: lock.sh NAME FILE SECONDS appends the fencing token to a file for so long, while it holds the lock.
lock_acquire "$1" "${LOCK_TTL:-60}" "${LOCK_WAIT:-600}" || exit
trap lock_release EXIT
trap 'exit 143' HUP INT TERM
echo "$lock_name is locked, with fencing token $lock_token"
lock_now
end=$((lock_clock + $3))
while lock_keep || exit && [ "$lock_clock" -lt "$end" ]; do
    echo "$lock_token" >>"$2"
    sleep 1
done
trap - EXIT
lock_release
