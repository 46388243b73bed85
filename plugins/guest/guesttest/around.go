//go:build !wasip1

package guesttest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // for machines without a table of time zones
)

// OtherLock is a lock besides that of the request. Holder and Account count only while it
// is held.
type OtherLock struct {
	Held    bool   `json:"held"`
	Holder  string `json:"holder,omitempty"`
	Account string `json:"account,omitempty"`
}

// reads are the beginnings of the lock names that a policy may look at, as in a manifest;
// nil: all.
var reads []string

func mayRead(prefixes []string) {
	one.Lock()
	defer one.Unlock()
	reads = prefixes
}

// look answers the keys that look beyond the request, as the server does; looks is false
// for all other keys.
func (r *Request) look(key string) (text string, number int64, there, looks bool) {
	if key == "account.groups" {
		return strings.Join(r.AccountGroups, "\n"), math.MinInt64, r.AccountGroups != nil, true
	}
	at := strings.IndexByte(key, ':') + 1
	kind, of := key[:at], key[at:]
	switch kind {
	case "local_time:":
		text, there := r.localTime(of)
		return text, math.MinInt64, there, true
	case "held:":
		mayLookAt(key, of)
		return strconv.FormatInt(r.Held[of], 10), r.Held[of], true, true
	case "lock.state:", "lock.holder:", "lock.account:":
		mayLookAt(key, of)
	default:
		return "", math.MinInt64, false, false
	}
	l := r.Locks[of]
	switch {
	case kind == "lock.state:" && l.Held:
		return "held", 1, true, true
	case kind == "lock.state:":
		return "free", 0, true, true
	case kind == "lock.holder:":
		return l.Holder, math.MinInt64, l.Held, true
	}
	return l.Account, math.MinInt64, l.Held, true
}

// mayLookAt ends the call if the policy may not look at a name.
func mayLookAt(key, name string) {
	may := reads == nil
	for _, prefix := range reads {
		may = may || strings.HasPrefix(name, prefix)
	}
	if may {
		return
	}
	folder := name[:strings.LastIndexByte(name, '/')+1]
	if folder == "" {
		folder = name
	}
	panic(fmt.Sprintf(`%s is not readable: add "%s" to "reads" of the manifest`, key, folder))
}

func (r *Request) localTime(name string) (string, bool) {
	if name == "" || name == "Local" || name[0] < 'A' || name[0] > 'Z' {
		return "", false
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return "", false
	}
	return time.UnixMilli(r.NowMS).In(zone).Format(time.RFC3339), true
}
