package client

import "time"

// SetClock gives a client the clock of a test.
func (c *Client) SetClock(now func() time.Duration) { c.now = now }

// Meanings are the targets of errors.Is.
var Meanings = meanings
