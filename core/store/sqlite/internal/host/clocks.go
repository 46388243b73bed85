package host

import "time"

// Clocks are the clocks of a store.
type Clocks struct {
	Now       func() time.Time
	SinceBoot func() (time.Duration, error) // goes on while the machine sleeps
	BootID    func() (string, error)        // another one after every boot
}

// OrSystem returns the clocks, with those of the system for fields that are not set.
func (c Clocks) OrSystem() Clocks {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.SinceBoot == nil {
		c.SinceBoot = sinceBoot
	}
	if c.BootID == nil {
		c.BootID = bootID
	}
	return c
}

// Instant is one moment by both clocks.
type Instant struct {
	Time       time.Time
	Wall, Boot int64 // nanoseconds, since 1970 and since the boot
}

// Read returns the present moment. Without a clock that counts from the boot its Boot is 0;
// then [Clocks.Boot] returns "" too, and the number is not used.
func (c Clocks) Read() Instant {
	now := c.Now()
	since, _ := c.SinceBoot()
	return Instant{Time: now, Wall: now.UnixNano(), Boot: int64(since)}
}

// Boot returns an id of the present boot of the machine, "" if it is not known or its clock
// cannot be read.
func (c Clocks) Boot() string {
	id, err := c.BootID()
	if err != nil {
		return ""
	}
	if _, err := c.SinceBoot(); err != nil {
		return ""
	}
	return id
}
