// Command quota is a policy that bounds how many locks an account holds, in all or
// below a prefix. README.md beside it says how it is configured.
package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/strict"
)

func init() {
	guest.Configure(configure)
	guest.Check(check)
}

func main() {}

// limit is a bound; all that are about a request count.
type limit struct {
	accounts []string // nil: all
	prefix   string   // of lock names; empty: all
	held     int
}

var (
	limits     []limit
	retryAfter time.Duration
)

func configure(config []byte) error {
	limits = nil
	return strict.Read(config, func(o *strict.Object) {
		o.Objects("limits", func(o *strict.Object) {
			o.Need("held")
			limits = append(limits, limit{o.Texts("accounts"), o.Text("prefix"), int(o.Int("held", 0))})
		})
		if retryAfter = o.Duration("retry_after", time.Millisecond); retryAfter == 0 {
			retryAfter = 10 * time.Second
		}
	})
}

func check(q guest.Request) guest.Verdict {
	if q.Hook() != guest.HookAcquire {
		return guest.Allow // it is held already
	}
	name, account := q.LockName(), q.Account()
	for i := range limits {
		l := &limits[i]
		if !strings.HasPrefix(name, l.prefix) || l.accounts != nil && !guest.MatchAny(l.accounts, account) {
			continue
		}
		if held := q.Held(l.prefix); held >= l.held {
			return l.refuse(account, held)
		}
	}
	return guest.Allow
}

func (l *limit) refuse(account string, held int) guest.Verdict {
	where := ""
	if l.prefix != "" {
		where = " whose names begin with "
	}
	refusal := guest.Deny("account ", account, " holds ", strconv.Itoa(held), " locks", where, l.prefix, "; at most ", strconv.Itoa(l.held))
	return refusal.RetryAfter(retryAfter)
}
