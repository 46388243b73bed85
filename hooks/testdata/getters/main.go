// Command getters is a policy in Go that reads three fields, for benchmarks.
package main

import (
	"time"

	"github.com/octostore/octostore/plugins/guest"
)

func init() { guest.Check(check) }

func main() {}

func check(r guest.Request) guest.Verdict {
	if r.TTL() > time.Hour {
		return guest.Deny("too long")
	}
	ticket, _ := r.Metadata("ticket")
	if r.LockName() == "" && ticket == "" {
		return guest.Deny("nameless")
	}
	return guest.Allow
}
