package lock

import "time"

var me = Origin{Actor: Actor{Account: "acme"}}

func try(name Name) Acquisition { return Acquisition{Origin: me, Name: name, TTL: 10 * time.Second} }

func wait(name Name, d time.Duration) Acquisition {
	a := try(name)
	a.Wait = d
	return a
}

func at(a Acquisition, p Priority) Acquisition {
	a.Priority = p
	return a
}
