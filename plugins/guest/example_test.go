package guest_test

import (
	"fmt"
	"time"

	"github.com/octostore/octostore/plugins/guest"
	"github.com/octostore/octostore/plugins/guest/guesttest"
)

// A policy is a function from a request to a verdict. Package guesttest asks it natively, as
// a server would ask the module.
func Example() {
	guest.Check(func(r guest.Request) guest.Verdict {
		ticket, _ := r.Metadata("ticket")
		if ticket == "" {
			return guest.Deny("a ticket is needed: add meta.ticket=OPS-7")
		}
		r.Note("ticket", ticket)
		r.CapTTL(15 * time.Minute)
		return guest.Allow
	})

	request := guesttest.NewRequest()
	answer := guesttest.Ask(request)
	fmt.Println(answer.Verdict, answer.Reason)

	request.Metadata = map[string]string{"ticket": "OPS-7"}
	request.TTLMS = time.Hour.Milliseconds()
	answer = guesttest.Ask(request)
	fmt.Println(answer.Verdict, time.Duration(answer.TTLMS)*time.Millisecond, answer.Notes)
	// Output:
	// deny a ticket is needed: add meta.ticket=OPS-7
	// allow 15m0s map[ticket:OPS-7]
}
