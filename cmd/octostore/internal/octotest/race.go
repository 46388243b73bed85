//go:build race

package octotest

const raceEnabled = true
