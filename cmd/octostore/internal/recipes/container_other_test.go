//go:build unix && !linux

package recipes_test

import (
	"os/exec"
	"testing"
)

// asContainer runs the command in the root of the file system; only Linux has more of a
// container.
func asContainer(_ *testing.T, _ *site, cmd *exec.Cmd, _ uint32) { cmd.Dir = "/" }
