package hooks

import (
	"github.com/octostore/octostore/hooks/internal/manifest"
	"slices"
)

// offPolicy is an entry of a manifest that is off: its module is not loaded.
type offPolicy struct {
	manifest.Policy
	place int // in the manifest
}

// withOff puts what is said of the policies that are off between what is said of the
// others, where they are in the manifest.
func withOff[T any](loaded []T, off []offPolicy, say func(manifest.Policy) T) []T {
	for _, p := range off { // in order, so that those before are in their places
		loaded = slices.Insert(loaded, p.place, say(p.Policy))
	}
	return loaded
}
