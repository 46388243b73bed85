//go:build !unix

package usage

// OwnCPU is not known on this system.
func OwnCPU() float64 { return 0 }
