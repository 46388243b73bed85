//go:build unix

package usage

import "syscall"

// OwnCPU returns the processor time of this process in seconds, 0 if the system
// does not tell.
func OwnCPU() float64 {
	var spent syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &spent); err != nil {
		return 0
	}
	return float64(spent.Utime.Nano()+spent.Stime.Nano()) / 1e9
}
