//go:build !unix

package usage

// ownCPU is not known on this system.
func ownCPU() float64 { return 0 }
