//go:build !race

package octotest

const raceEnabled = false
