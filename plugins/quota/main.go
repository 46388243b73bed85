// Command quota is a policy that bounds how many locks an account holds, or all accounts
// together, in all or below a prefix. README.md beside it describes its configuration.
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

// mostCounted is where the server stops counting the locks of all accounts.
const mostCounted = 10_000

// limit is a bound; all that are about a request count.
type limit struct {
	accounts []string // nil: all
	prefix   string   // of lock names; empty: all
	held     int
	total    bool // counts the locks of all accounts, not those of the account that asks
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
			l := limit{
				accounts: o.Texts("accounts"), prefix: o.Text("prefix"), held: int(o.Int("held", 0)),
				total: o.OneOf("count", "account", "all") == "all",
			}
			if l.total && l.held > mostCounted {
				o.Fail("held", "is "+strconv.Itoa(l.held)+"; want at most 10000, where the count of all accounts ends")
			}
			limits = append(limits, l)
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
		if held := l.count(q); held >= l.held {
			return l.refuse(account, held)
		}
	}
	return guest.Allow
}

func (l *limit) count(q guest.Request) int {
	if l.total {
		return q.HeldByAll(l.prefix)
	}
	return q.Held(l.prefix)
}

func (l *limit) refuse(account string, held int) guest.Verdict {
	who, holds, where := "account ", " holds ", ""
	if l.total {
		who, account, holds = "all accounts together", "", " hold "
	}
	if l.prefix != "" {
		where = " whose names begin with "
	}
	refusal := guest.Deny(who, account, holds, strconv.Itoa(held), " locks", where, l.prefix, "; at most ", strconv.Itoa(l.held))
	return refusal.RetryAfter(retryAfter)
}
