package guest

import (
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // for machines without a table of time zones
)

// Zones is a cache of time zones. The zero value is ready for use by many goroutines.
type Zones struct {
	mu    sync.Mutex // held for moments only
	known map[string]*time.Location
}

const (
	maxZones    = 1024 // kept; there are about 600
	maxZoneName = 64   // bytes
)

// localTime is the local time of an instant in an IANA time zone.
func (z *Zones) localTime(at time.Time, name string) field {
	zone := z.load(name)
	if zone == nil {
		return field{}
	}
	return textField(at.In(zone).Format(time.RFC3339))
}

// load returns the zone of that name, nil if there is none. The table of the machine takes precedence
// over the embedded one, which is as old as the program.
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

// zoneName reports whether a text can be the name of a zone. "Local" and "localtime", the zone of the
// machine, are excluded: a policy has to answer the same everywhere. No name of a zone begins with a
// small letter, but other files in the table do.
func zoneName(name string) bool {
	if name == "" || name == "Local" || len(name) > maxZoneName || name[0] < 'A' || name[0] > 'Z' {
		return false
	}
	const characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/"
	return strings.TrimLeft(name, characters) == ""
}
