// Command freeze is a policy that gives no locks during windows of time. README.md
// beside it says how it is configured.
package main

import (
	"time"

	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/strict"
)

func init() {
	guest.Configure(configure)
	guest.Check(check)
}

func main() {}

var (
	windows []window
	except  []string // accounts
)

func configure(config []byte) error {
	windows = nil
	return strict.Read(config, func(o *strict.Object) {
		except = o.Texts("except")
		if o.Has("windows") {
			o.Objects("windows", func(o *strict.Object) { windows = append(windows, readWindow(o)) })
			return
		}
		o.Need("until", "weekly", "windows")
		windows = []window{readWindow(o)} // a single one needs no list
	})
}

func check(q guest.Request) guest.Verdict {
	now := q.Now()
	var longest *window
	var end time.Time
	for i := range windows {
		w := &windows[i]
		if until, frozen := w.at(now); frozen && until.After(end) {
			longest, end = w, until
		}
	}
	if longest == nil || except != nil && guest.MatchAny(except, q.Account()) {
		return guest.Allow
	}
	return guest.Deny("frozen until ", end.Format(time.RFC3339), longest.reason).RetryAfter(end.Sub(now))
}
