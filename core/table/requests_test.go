package table

import (
	"time"

	"github.com/octostore/octostore/core/lock"
)

var me = lock.Origin{Actor: lock.Actor{Account: "acme"}}

func try(name lock.Name) lock.Acquisition {
	return lock.Acquisition{Origin: me, Name: name, TTL: 10 * time.Second}
}

func wait(name lock.Name, d time.Duration) lock.Acquisition {
	a := try(name)
	a.Wait = d
	return a
}

func at(a lock.Acquisition, p lock.Priority) lock.Acquisition {
	a.Priority = p
	return a
}
