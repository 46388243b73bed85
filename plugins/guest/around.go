package guest

import "time"

// LockGrantedAt is when the present lease was granted, which a renewal does not change; the
// zero Time if the lock is free.
func (Request) LockGrantedAt() time.Time { return instant("lock.granted_at_ms") }

// OtherLock returns whether another lock is held, with its holder and account. It does not
// change within one request, but it is advisory: the lock may be acquired or released before
// the request is granted. The call fails unless "reads" in the manifest covers the name.
func (Request) OtherLock(name string) (held bool, holder, account string) {
	if number(join([]string{"lock.state:", name})) == 0 {
		return false, "", ""
	}
	return true, text(join([]string{"lock.holder:", name})), text(join([]string{"lock.account:", name}))
}

// HeldByAll is the number of held locks of all accounts whose names begin with prefix, up to
// 10,000. It is advisory as [Request.Held], its price grows with the count, and it needs "reads"
// in the manifest as [Request.OtherLock].
func (Request) HeldByAll(prefix string) int { return int(number(join([]string{"held:", prefix}))) }

// InGroup reports whether the account was in a group at its login, such as "github:acme" or
// "github:acme/ops". known is false without a login.
func (Request) InGroup(group string) (member, known bool) {
	all, known := lookUp("account.groups")
	for rest := all; rest != ""; {
		one := rest
		for i := range len(rest) {
			if rest[i] == '\n' {
				one = rest[:i]
				break
			}
		}
		if one == group {
			return true, known
		}
		rest = rest[min(len(one)+1, len(rest)):]
	}
	return false, known
}

// Groups are the groups of the account at its login, one per line. known is false without a
// login.
func (Request) Groups() (lines string, known bool) { return lookUp("account.groups") }

// LocalTime is the time of the decision in an IANA time zone, such as "Europe/Berlin". known is
// false if there is no such zone. Its location has the offset of that instant only: other
// instants, past the next change of the clocks, need time.LoadLocation and an import of
// time/tzdata.
func (Request) LocalTime(zone string) (at time.Time, known bool) {
	offset, known := zoneOffset(text(join([]string{"local_time:", zone})))
	if !known {
		return time.Time{}, false
	}
	return instant("now_ms").In(zoneOf(offset)), true
}

// zoneOffset reads the end of an RFC 3339 time, in seconds.
func zoneOffset(rfc3339 string) (seconds int, known bool) {
	n := len(rfc3339)
	if n > 0 && rfc3339[n-1] == 'Z' {
		return 0, true
	}
	if n < len("+00:00") || rfc3339[n-3] != ':' {
		return 0, false
	}
	digits := func(at int) int { return int(rfc3339[at]-'0')*10 + int(rfc3339[at+1]-'0') }
	seconds = digits(n-5)*3600 + digits(n-2)*60
	if rfc3339[n-6] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// fixed are the zones of the offsets that were asked for: making one allocates.
var fixed []fixedZone

type fixedZone struct {
	offset int
	zone   *time.Location
}

func zoneOf(offset int) *time.Location {
	if offset == 0 {
		return time.UTC
	}
	for i := range fixed {
		if fixed[i].offset == offset {
			return fixed[i].zone
		}
	}
	const most = 64 // there are fewer in use
	if len(fixed) == most {
		fixed = fixed[:0]
	}
	zone := time.FixedZone("local", offset) // one without a name makes a table of them
	fixed = append(fixed, fixedZone{offset, zone})
	return zone
}
