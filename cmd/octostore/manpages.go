//go:build manpages

package main

import (
	"fmt"
	"os"

	"github.com/octostore/octostore/cmd/octostore/internal/manpages"
)

// With the build tag manpages the program only writes the manual pages of its commands, into
// the folder that is its argument. Without it the generator is no part of octostore.
func init() {
	if err := manpages.Write(rootCommand(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "octostore:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
