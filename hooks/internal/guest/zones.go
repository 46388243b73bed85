package guest

import (
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // for machines without a table of time zones
)

// Zones keeps the time zones that policies ask for. The zero value is ready, and safe for
// use by many goroutines.
type Zones struct {
	mu    sync.Mutex // held for moments only
	known map[string]*time.Location
}

const (
	maxZones    = 1024 // kept; there are about 600
	maxZoneName = 64   // bytes
)

// localTime is an instant as clocks show it in an IANA time zone.
func (z *Zones) localTime(at time.Time, name string) field {
	zone := z.load(name)
	if zone == nil {
		return field{}
	}
	return textField(at.In(zone).Format(time.RFC3339))
}

// load returns the zone of that name, nil if there is none. The machine's table counts
// before the embedded one, which is as old as the program.
func (z *Zones) load(name string) *time.Location {
	z.mu.Lock()
	zone := z.known[name]
	z.mu.Unlock()
	if zone != nil || !zoneName(name) {
		return zone
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.known == nil || len(z.known) >= maxZones {
		z.known = map[string]*time.Location{}
	}
	z.known[strings.Clone(name)] = zone
	return zone
}

// zoneName reports whether a text looks like the name of a zone. "Local" and "localtime",
// the zone of the machine, are none: a policy has to answer the same everywhere. No zone
// begins with a small letter, but other files beside them do.
func zoneName(name string) bool {
	if name == "" || name == "Local" || len(name) > maxZoneName || name[0] < 'A' || name[0] > 'Z' {
		return false
	}
	const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/"
	return strings.TrimLeft(name, characters) == ""
}
