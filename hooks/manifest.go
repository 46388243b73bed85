package hooks

import "github.com/octostore/octostore/hooks/internal/manifest"

// Policy is one entry of a manifest, complete with defaults.
type Policy = manifest.Policy

// Defaults and bounds of a policy. There is no unlimited.
const (
	DefaultFuel      = manifest.DefaultFuel
	MinFuel          = manifest.MinFuel
	MaxFuel          = manifest.MaxFuel
	DefaultMemoryMiB = manifest.DefaultMemoryMiB
	MaxMemoryMiB     = manifest.MaxMemoryMiB
	FirstCallFuel    = manifest.FirstCallFuel
)

// CheckReads returns what is wrong with a list of beginnings of lock names, as a manifest
// has it in "reads"; nil: nothing.
func CheckReads(prefixes []string) error { return manifest.CheckReads(prefixes) }
