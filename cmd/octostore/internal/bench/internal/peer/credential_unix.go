//go:build unix

package peer

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// attributes returns how the processes of a server are started. A server that does not run
// as root runs as nobody, who gets the folder.
func attributes(dir string, notRoot bool) (*syscall.SysProcAttr, error) {
	attr := ownGroup()
	if !notRoot || os.Geteuid() != 0 {
		return attr, nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("the server does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, int(uid), int(gid))
}
