//go:build darwin || freebsd

package job

// outside returns the strays of a command, which are not looked for on this system.
func outside(group, []member) []member { return nil }

// starting is a command that a process is starting. On this system a guard cannot find it before that
// process has told its number.
type starting struct{}

func startingIn([]string) starting { return starting{} }

func (starting) find() group { return group{} }

func (starting) orphan() group { return group{} }
