#!/bin/sh
# with-lock.sh NAME COMMAND [ARG…] runs a command while it holds a lock of an OctoStore server.
#
#   with-lock.sh deploy/prod ./deploy.sh --all
#
# For POSIX shells (dash, bash, busybox sh) with curl 7.64 or newer; copy this file to where it is needed.
# README.md beside it says what it promises, and what a shell cannot promise. Settings, from the environment:
#
#   OCTOSTORE_URL      http://127.0.0.1:3000   the server
#   OCTOSTORE_TOKEN    none                    the bearer token
#   OCTOSTORE_CA_FILE  none                    a certificate authority to trust, in PEM
#   LOCK_TTL           60s                     how long a lease runs without a renewal; at least 5s
#   LOCK_WAIT          10m                     how long to wait for the lock, restarts of the server included
#   LOCK_CONFIRM       15s                     how long the lease runs before its first renewal
#   LOCK_SLICE         25s                     how long one request waits: less than the shortest read timeout
#                                              of the proxies on the way
#   LOCK_HOLDER        host:process            the holder, for people
#   LOCK_REASON        none                    the reason, for people
#
# The command finds the fencing token in LOCK_TOKEN and OCTOSTORE_FENCING_TOKEN. Its exit status is that of this
# script, which has some of its own: 64 usage, 69 server unavailable, 75 lock held, 77 denied, 79 lease lost.
set -u

# A closed descriptor would end the shell where it is copied, and a file opened next would get its number.
exec 3<>/dev/null
{ true 4<&0; } 2>&3 || exec <&3
{ true 4>&1; } 2>&3 || exec >&3
true 4>&2 || exec 2>&3
exec 3<&-

usage=64 unavailable=69 held=75 denied=77 lost=79
name='' dir='' key='' lease='' token='' said='' clock=0
child=''     # the process to wait for
stop=''      # the signal that asked the script to end
command=''   # the command, once it runs

say() {
    [ "$*" = "$said" ] || printf 'with-lock: %s: %s\n' "$name" "$*" >&2
    said=$*
}

fail() { # fail STATUS TEXT
    [ -z "$stop" ] || stopped # a signal to the whole group ends what answers are looked at with, too
    status=$1 said=
    shift
    say "$@"
    quit "$status"
}

# quit STATUS ends the script. A trap on EXIT would do for that, but bash runs it in a subshell too that a signal ends.
quit() {
    [ -z "$dir" ] || rm -rf "$dir"
    exit "$1"
}

# now sets clock, in seconds: from the boot-time clock where the system has one, which is never set and counts suspends.
now() {
    if read -r clock _ 2>/dev/null </proc/uptime; then
        clock=${clock%.*}
    else
        clock=$(date +%s)
    fi
}

# seconds SETTING VALUE sets n to a duration in seconds: 90, 90s, 15m, 2h or 1d.
seconds() {
    n=${2%[smhd]}
    case $n in
    '' | *[!0-9]* | ???????*) fail $usage "$1 is \"$2\"; it takes a whole number with s, m, h or d, such as 90s" ;;
    esac
    while [ "$n" != "${n#0}" ] && [ "$n" != 0 ]; do n=${n#0}; done # 08 would be a bad octal number
    case $2 in
    *m) n=$((n * 60)) ;;
    *h) n=$((n * 3600)) ;;
    *d) n=$((n * 86400)) ;;
    esac
}

# quoted TEXT prints a text the way curl's configuration wants it.
quoted() { printf '"%s"' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')"; }

# await waits for the child or a signal, and sets ended to the exit status.
await() {
    wait "$child" 2>/dev/null # bash would report a signal that ended it
    ended=$?
    child=''
}

# cut ends curl or sleep if the script has to stop. SIGKILL, because between fork and exec a child has the traps of the
# script, and loses any other signal.
cut() { [ -z "$stop" ] || [ -z "$child" ] || kill -s KILL "$child" 2>/dev/null; }

# ask SECONDS VERB [LINE…] sends a request about the lock, with lines for curl's configuration. It sets http to the
# status, curl to curl's exit status, and asked to when it was sent. Secrets go to curl by its standard input, for
# command lines are public. -q: a .curlrc may follow redirects or retry, and a lock must not depend on it.
ask() {
    most=$1 verb=$2 http=000 curl=23
    shift 2
    now
    asked=$clock
    printf '' >"$dir/body" && printf '' >"$dir/head" && printf '' >"$dir/code" || return
    {
        printf 'url = %s\n' "$(quoted "$url/v1/locks/$path/$verb")"
        printf '%s\n' "$@"
        [ -z "${OCTOSTORE_TOKEN:-}" ] || printf 'header = %s\n' "$(quoted "Authorization: Bearer $OCTOSTORE_TOKEN")"
        [ -z "${OCTOSTORE_CA_FILE:-}" ] || printf 'cacert = %s\n' "$(quoted "$OCTOSTORE_CA_FILE")"
    } | curl -q -sS -g -K - --path-as-is --proto =http,https --connect-timeout 5 -m "$most" \
        -o "$dir/body" -D "$dir/head" -w '%{http_code}\n' >"$dir/code" 2>"$dir/error" &
    child=$!
    cut
    await
    curl=$ended
    read -r http <"$dir/code" || http=000
}

# nap SECONDS pauses, but not after a signal.
nap() {
    sleep "$1" >/dev/null 2>&1 &
    child=$!
    cut
    await
}

byte() { printf "\\$1"; } # byte OCTAL

# In UTF-8: the second set of control characters, and the marks that hide text or change its direction.
marks="s/ *\$//
s/$(byte 302)[$(byte 200)-$(byte 237)]//g
s/$(byte 342)$(byte 200)[$(byte 213)-$(byte 217)$(byte 250)-$(byte 256)]//g
s/$(byte 342)$(byte 201)[$(byte 240)-$(byte 257)]//g
s/$(byte 357)$(byte 273)$(byte 277)//g"

# clean removes from a text what could steer a terminal.
clean() { LC_ALL=C tr '\t\n' '  ' | LC_ALL=C tr -d '\000-\037\177' | LC_ALL=C sed "$marks"; }

# member NAME sets value to a text in the JSON that was the answer, or to nothing.
member() {
    mark="\"$1\":\""
    # With escaped quotes out of the way, a quote is where a text begins or ends.
    value=$(dd if="$dir/body" bs=16384 count=1 2>/dev/null | clean | sed 's/\\\\/\\u005c/g; s/\\"/\\u0022/g')
    case $value in
    '{'*"$mark"*) value=${value#*"$mark"} value=${value%%\"*} ;;
    *) value= ;;
    esac
    value=$(printf %s "$value" | sed 's/\\u0022/"/g; s/\\u003c/</g; s/\\u003e/>/g; s/\\u0026/\&/g; s/\\u005c/\\/g')
}

# header PATTERN sets value to a header of the answer, or to nothing.
header() { value=$(sed -n "s/^$1: *//p" "$dir/head" | tail -n 1 | clean); }

# why sets value to what the answer was, for people.
why() {
    if [ "$curl" -ne 0 ]; then
        value=$(clean <"$dir/error")
        value="no answer from $url (${value:-curl ended with $curl})"
        return
    fi
    member detail
    [ -z "$value" ] || return
    header '[Ll]ocation'
    value="$url answered $http${value:+ and a redirect to $value}, not the way OctoStore does; is that its address, or is there a proxy?"
}

# granted reports whether the answer is a grant, and sets lease and token then. A grant is status 200 with exactly one
# line of a lease id and a number. Nothing else is one.
granted() {
    lease=
    [ "$curl" -eq 0 ] && [ "$http" = 200 ] && read -r id token <"$dir/body" &&
        printf '%s %s\n' "$id" "$token" | cmp -s - "$dir/body" &&
        LC_ALL=C grep -qx '[A-Za-z0-9_-]\{32\} [1-9][0-9]\{0,15\}' "$dir/body" &&
        lease=$id
}

# renewed reports whether the answer says that the lease goes on, and sets until and span then: its end, and how long
# it runs.
renewed() {
    [ "$curl" -eq 0 ] && [ "$http" = 200 ] && member lease_id && [ "$value" = "$lease" ] || return 1
    value=$(sed -n 's/^.*"expires_in_ms":\([0-9]\{1,12\}\)[,}].*$/\1/p' "$dir/body")
    [ -n "$value" ] || return 1
    span=$((value / 1000))
    until=$((asked + span))
}

# over reports whether the answer says that the lease has ended.
over() { [ "$curl" -eq 0 ] && [ "$http" = 409 ] && member code && [ "$value" = not_held ]; }

acquire() { # acquire SECONDS WAIT
    ask "$1" acquire 'header = "Accept: text/plain"' "header = \"Idempotency-Key: $key\"" \
        "data = \"ttl=${ttl}s&confirm=${confirm}s&wait=${2}s\"" \
        "data-urlencode = $(quoted "holder=$holder")" "data-urlencode = $(quoted "reason=$reason")"
}

renew() { # renew SECONDS
    ask "$1" renew 'data = ""' "header = \"Octostore-Lease: $lease\""
}

# new_key begins an attempt. Its requests share a key, by which the server knows its place in the queue, or its lease.
new_key() {
    key=$(od -An -v -N16 -tx1 </dev/urandom | tr -d ' \n')
    [ ${#key} -eq 32 ] || fail $unavailable "no random bytes from /dev/urandom"
}

# refused looks at an answer to acquire that is no grant. It ends the script, or sets pause to how long to wait before
# the next request. A place in the queue is kept for ten seconds, so pauses are short.
refused() {
    why
    text=$value pause=1
    now
    [ "$clock" -le "$asked" ] || pause=0 # it has taken its time already
    if [ "$curl" -ne 0 ]; then
        case $curl in
        # Faults that the next request would have too: in the URL, the certificate, the files, curl.
        1 | 2 | 3 | 4 | 23 | 26 | 27 | 41 | 43 | 48 | 51 | 58 | 59 | 60 | 66 | 77 | 82 | 83 | 90 | 91 | 126 | 127)
            fail $unavailable "$text" ;;
        esac
        say "$text; asking again"
        return
    fi
    member code
    case $http-$value in
    409-held | 409-superseded) say "waiting: $text" ;;
    409-attempt_over) new_key ;;
    429-*) again_after 60 ;;
    408-* | 425-* | 5??-*) again_after 5 ;;
    401-* | 403-*) fail $denied "$text" ;;
    400-?* | 413-?* | 422-?* | 431-*) fail $usage "$text" ;;
    *) fail $unavailable "$text" ;;
    esac
}

# again_after MOST sets pause to what the answer asks for, up to so many seconds.
again_after() {
    say "$text; asking again"
    header '[Rr][Ee][Tt][Rr][Yy]-[Aa][Ff][Tt][Ee][Rr]'
    case $value in
    '' | *[!0-9]*) return ;;
    ?????*) pause=$1 ;;
    *) pause=$(printf %s "$value" | sed 's/^0*//') && pause=${pause:-1} ;;
    esac
    [ "$pause" -le "$1" ] || pause=$1
}

# give_back releases the lease, and sets was to how it had ended: released, over, or unknown.
give_back() {
    trap '' HUP INT TERM
    stop='' was='' unsure=''
    now
    give_up_at=$((clock + 10))
    while [ "$clock" -lt "$give_up_at" ]; do
        ask 5 release 'data = ""' "header = \"Octostore-Lease: $lease\""
        if [ "$curl" -eq 0 ] && [ "$http" = 200 ]; then
            was=released
            return
        elif over; then
            was=${unsure:-over}
            return
        fi
        [ "$curl" -eq 0 ] || unsure=released # perhaps, and only the answer was lost
        nap 1
        now
    done
    why
    was=unknown said=
    say "the lease could not be given back, and ends by itself: $value"
}

# leave gives up the place in the queue, and the lease if there is one. A proxy may not have passed on that curl hung
# up; a request with the same key takes the place of the one that waits behind it.
leave() {
    trap '' HUP INT TERM
    stop=
    [ -n "$lease" ] || granted || { acquire 3 0 && granted; }
    [ -z "$lease" ] || give_back
}

# stopped ends the script as the signal would have.
stopped() {
    signal=$stop
    leave
    case $signal in
    HUP) status=129 ;;
    INT) status=130 ;;
    *) status=143 ;;
    esac
    fail $status "stopped by SIG$signal"
}

# running reports whether the command runs, and sets command to its process then.
running() { [ -s "$dir/pid" ] && read -r command <"$dir/pid" && kill -s 0 "$command" 2>/dev/null; }

on_signal() { # on_signal NAME
    stop=$1 signaled=1
    [ -n "$command" ] || running
    case $command-$1 in
    -*) cut ;;
    *-HUP) kill -s HUP "$command" ;;
    *) kill -s TERM "$command" ;; # of SIGINT too: a shell starts its background commands with SIGINT ignored
    esac 2>/dev/null
}

# wait_for_lock returns when the script has the lock, or ends it.
wait_for_lock() {
    now
    end=$((clock + wait))
    new_key
    while :; do
        left=$((end - clock))
        [ "$left" -le "$slice" ] || left=$slice
        acquire $((left + 5)) "$left"
        [ -z "$stop" ] || stopped
        ! granted || return 0
        refused
        [ "$clock" -lt "$end" ] || break
        [ "$pause" -le $((end - clock)) ] || pause=$((end - clock))
        [ "$pause" -eq 0 ] || nap "$pause"
        [ -z "$stop" ] || stopped
        now
    done
    text="no lock after ${wait}s: $text"
    [ "$curl" -eq 0 ] || leave # it may still stand in the queue
    [ "$http" != 409 ] || fail $held "$text"
    fail $unavailable "$text"
}

# confirm_lease renews the lease for the first time, which gives it its ttl, or ends the script. So a lease whose grant
# only a proxy received ends soon, and the command never starts on one.
confirm_lease() {
    until=$((asked + confirm))
    while :; do
        now
        left=$((until - clock))
        [ "$left" -le 5 ] || left=5
        [ "$left" -ge 1 ] || left=1
        renew "$left"
        [ -z "$stop" ] || stopped
        ! renewed || break
        ! over || fail $lost "the lease ended before the command started"
        now
        [ "$clock" -lt "$until" ] || {
            why
            fail $unavailable "the command was not started, for its lease could not be renewed: $value"
        }
        nap 1
        [ -z "$stop" ] || stopped
    done
    [ "$span" -ge 3 ] || {
        leave
        fail $denied "the command was not started, for its lease may last ${span}s only"
    }
}

# keep_lease renews the lease at a third of its time until SIGUSR1. If that fails until a sixth is left, it leaves a
# note and ends the command. If the script was killed, it ends the command too, and gives the lease back after it.
keep_lease() {
    trap '' HUP INT TERM # the command may need the lease while it ends
    stop=''
    trap 'on_signal USR1' USR1
    next=$((asked + span / 3)) last=$((until - span / 6 - 1))
    while [ -z "$stop" ]; do
        nap 1
        [ -z "$stop" ] || break
        kill -s 0 $$ 2>/dev/null || orphaned
        now
        [ "$clock" -ge "$next" ] || continue
        left=$((last - clock))
        [ "$left" -le 5 ] || left=5
        [ "$left" -ge 1 ] || left=1
        renew "$left"
        [ -z "$stop" ] || break
        if renewed; then
            next=$((asked + span / 3)) last=$((until - span / 6 - 1)) said=
            continue
        fi
        ! over || end_command "the lease has ended"
        why
        text=$value
        say "the lease is not renewed yet: $text"
        now
        [ "$clock" -lt "$last" ] || end_command "the lease ends, and could not be renewed: $text"
    done
    exit 0
}

end_command() { # end_command WHY
    echo "$1" >"$dir/lost"
    running && kill -s TERM "$command" 2>/dev/null
    said=
    say "$1; the command was sent SIGTERM"
    exit 0
}

# orphaned is for a script that was killed by SIGKILL. The lease is not renewed any more.
orphaned() {
    say "with-lock.sh was killed; the command is sent SIGTERM"
    running && kill -s TERM "$command" 2>/dev/null
    now
    while running && [ "$clock" -lt "$until" ]; do
        nap 1
        now
    done
    running || give_back
    quit 0
}

[ $# -ge 2 ] || {
    echo 'usage: with-lock.sh NAME COMMAND [ARG…]' >&2
    exit $usage
}
name=$1
shift
if [ -z "$name" ] || [ -n "$(printf %s "$name" | LC_ALL=C tr -d 'A-Za-z0-9._~:@+/-' | od -An -c)" ]; then
    name=$(printf %s "$name" | clean)
    fail $usage 'a name is made of A-Z, a-z, 0-9, and . _ ~ : @ + -, with / between its parts'
fi
path=$(printf %s "$name" | sed 's/+/%2B/g')
url=${OCTOSTORE_URL:-http://127.0.0.1:3000}
url=${url%/}
holder=${LOCK_HOLDER:-$(uname -n):$$}
reason=${LOCK_REASON:-}
seconds LOCK_TTL "${LOCK_TTL:-60s}" && ttl=$n
seconds LOCK_WAIT "${LOCK_WAIT:-10m}" && wait=$n
seconds LOCK_CONFIRM "${LOCK_CONFIRM:-15s}" && confirm=$n
seconds LOCK_SLICE "${LOCK_SLICE:-25s}" && slice=$n
[ "$ttl" -ge 5 ] || fail $usage "LOCK_TTL is ${ttl}s; it takes 5s or more"
[ "$slice" -ge 1 ] || fail $usage "LOCK_SLICE is 0s; it takes 1s or more"
[ "$confirm" -ge 1 ] || fail $usage "LOCK_CONFIRM is 0s; it takes 1s or more"
[ "$confirm" -le "$ttl" ] || confirm=$ttl
for tool in curl od tr sed cmp mktemp; do
    command -v $tool >/dev/null 2>&1 || fail $unavailable "$tool is not installed"
done

umask_before=$(umask)
umask 077
dir=$(mktemp -d) || fail $unavailable "no temporary directory"
umask "$umask_before"
trap 'on_signal HUP' HUP
trap 'on_signal INT' INT
trap 'on_signal TERM' TERM

wait_for_lock
confirm_lease

LOCK_TOKEN=$token OCTOSTORE_FENCING_TOKEN=$token
export LOCK_TOKEN OCTOSTORE_FENCING_TOKEN
keep_lease </dev/null >/dev/null &
keeper=$!
exec 3<&0 4>&2 # a background command gets no standard input by itself
{
    trap '' HUP INT TERM
    (
        trap - HUP INT TERM
        exec sh -c 'echo $$ >"$0"; exec "$@"' "$dir/pid" "$@" <&3 2>&4 3<&- 4>&-
    )
    echo $? >"$dir/status"
} 2>/dev/null &
runner=$!
exec 3<&- 4>&-
now
limit=$((clock + 3))
until running || [ -s "$dir/status" ] || [ "$clock" -gt "$limit" ]; do now; done
[ -z "$stop" ] || on_signal "$stop"
# The status comes in a file, for bash may lose that of a child that ends in the moment of a signal.
until [ -s "$dir/status" ]; do
    signaled=''
    wait "$runner" 2>/dev/null
    status=$?
    [ -n "$signaled" ] || break
done
[ ! -s "$dir/status" ] || read -r status <"$dir/status"

trap '' HUP INT TERM
kill -s USR1 "$keeper" 2>/dev/null
child=$keeper
await
give_back
if [ "$was" = over ] || [ -e "$dir/lost" ]; then
    case $status in
    0 | 143) status=$lost ;; # it was not alone to its end
    esac
    said=
    say 'the lease ended before the command did'
fi
quit "$status"
