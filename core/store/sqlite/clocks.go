package sqlite

import "time"

// clocks is where a store reads the time from.
type clocks struct {
	now       func() time.Time
	sinceBoot func() (time.Duration, error) // goes on while the machine sleeps
	bootID    func() (string, error)        // another one after every boot
}

func (c clocks) orSystem() clocks {
	if c.now == nil {
		c.now = time.Now
	}
	if c.sinceBoot == nil {
		c.sinceBoot = sinceBoot
	}
	if c.bootID == nil {
		c.bootID = bootID
	}
	return c
}

// instant is one moment by both clocks.
type instant struct {
	time       time.Time
	wall, boot int64 // nanoseconds, since 1970 and since the boot
}

// read returns this moment. Without a clock that counts from the boot its boot is 0;
// then boot returns "" too, and nobody looks at it.
func (c clocks) read() instant {
	now := c.now()
	since, _ := c.sinceBoot()
	return instant{time: now, wall: now.UnixNano(), boot: int64(since)}
}

// boot names the present boot of the machine, "" if that is not known or its clock
// cannot be read.
func (c clocks) boot() string {
	id, err := c.bootID()
	if err != nil {
		return ""
	}
	if _, err := c.sinceBoot(); err != nil {
		return ""
	}
	return id
}
