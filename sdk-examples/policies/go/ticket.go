// Command ticket is a policy: who takes a lock names a ticket, and holds it for a quarter of an hour at most.
package main

import (
	"time"

	"github.com/octostore/octostore/plugins/guest"
)

func init() { guest.Check(check) }

func main() {}

func check(q guest.Request) guest.Verdict {
	ticket, _ := q.Metadata("ticket")
	switch {
	case ticket == "":
		return guest.Deny("a ticket is needed: add meta.ticket=OPS-7")
	case len(ticket) > 64:
		return guest.Deny("a ticket has at most 64 bytes")
	}
	q.Note("ticket", ticket)
	q.CapTTL(15 * time.Minute)
	return guest.Allow
}
