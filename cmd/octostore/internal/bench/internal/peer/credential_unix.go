//go:build unix

package peer

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
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
	if err := enterable(dir); err != nil {
		return nil, fmt.Errorf("the server does not run as root, and the user nobody has to get to its folder: %w", err)
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, int(uid), int(gid))
}

// enterable returns an error that names the folder above dir that keeps other users out.
func enterable(dir string) error {
	for above := filepath.Dir(dir); ; above = filepath.Dir(above) {
		info, err := os.Stat(above)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("%s is closed to other users (choose another --dir)", above)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}
