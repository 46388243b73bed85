// Command freeze is a policy that gives no locks during windows of time, on holidays and
// outside of open hours. README.md beside it describes its configuration.
package main

import (
	"time"
	_ "time/tzdata" // a guest has no files

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
	hours   calendar
	except  []string // accounts
)

func configure(config []byte) error {
	windows, hours = nil, calendar{}
	return strict.Read(config, func(o *strict.Object) {
		except = o.Texts("except")
		switch {
		case o.Has("windows") || o.Has("open") || o.Has("holidays"):
			zone := readZone(o, nil)
			if o.Has("windows") {
				o.Objects("windows", func(o *strict.Object) {
					windows = append(windows, readWindow(o, zone, "until", "weekly", "days", "dates"))
				})
			}
			hours = readCalendar(o, zone)
		default:
			// A single one needs no list.
			windows = []window{readWindow(o, nil, "until", "weekly", "days", "dates", "windows", "open", "holidays")}
		}
	})
}

func check(q guest.Request) guest.Verdict {
	now := q.Now()
	var end time.Time
	reason := ""
	for i := range windows {
		w := &windows[i]
		if until, frozen := w.at(now); frozen && until.After(end) {
			end, reason = until, w.reason
		}
	}
	if until, why, closed := hours.at(now); closed && until.After(end) {
		end, reason = until, why
	}
	if end.IsZero() || except != nil && guest.MatchAny(except, q.Account()) {
		return guest.Allow
	}
	return guest.Deny("frozen until ", end.Format(time.RFC3339), reason).RetryAfter(end.Sub(now))
}
