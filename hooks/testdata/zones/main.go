// Command zones is a guest of tests. It uses of a system what a policy never needs.
package main

import (
	"net"
	"os"
	"time"

	"github.com/octostore/octostore/plugins/guest"
)

func init() { guest.Check(check) }

func main() {}

func check(q guest.Request) guest.Verdict {
	do, _ := q.Metadata("do")
	with, _ := q.Metadata("with")
	var err error
	switch do {
	case "zone":
		var zone *time.Location
		if zone, err = time.LoadLocation(with); err == nil {
			return guest.Deny(q.Now().In(zone).Format(time.RFC3339))
		}
	case "local":
		at, known := q.LocalTime(with)
		if !known {
			return guest.Deny("not known")
		}
		return guest.Deny(at.Format("Mon 15:04 -0700"))
	case "other":
		_, holder, account := q.OtherLock(with)
		return guest.Deny("held by ", holder, " of ", account)
	case "read":
		_, err = os.ReadFile(with)
	case "write":
		err = os.WriteFile(with, nil, 0o600)
	case "stat":
		_, err = os.Stat(with)
	case "list":
		_, err = os.ReadDir(with)
	case "make":
		err = os.Mkdir(with, 0o700)
	case "remove":
		err = os.Remove(with)
	case "input":
		_, err = os.Stdin.Read(make([]byte, 1))
	case "dial":
		_, err = net.Dial("tcp", with)
	}
	if err == nil {
		return guest.Allow
	}
	return guest.Deny(err.Error())
}
