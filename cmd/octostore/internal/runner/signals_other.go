//go:build !unix

package runner

import "os"

// stopSignals ask to stop.
var stopSignals = []os.Signal{os.Interrupt}

func signalName(s os.Signal) string { return s.String() }

func signalStatus(os.Signal) int { return 130 }

// Die returns: no process here ends by a signal.
func Die(os.Signal) {}
