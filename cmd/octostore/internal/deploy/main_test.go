// Package deploy_test tests what is in deploy: the units of systemd, the packages for Debian
// and RPM systems, the container image and the manifests for Kubernetes; and that the server
// keeps its side of what they rely on.
package deploy_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

func TestMain(m *testing.M) { octotest.Main(m) }

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(octotest.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// static is octostore as it is shipped: without libraries, so that it runs in an empty folder.
var static = sync.OnceValues(func() (string, error) {
	path := octotest.Path("bin/test/static/octostore")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/octostore")
	build.Dir, build.Env = octotest.Root(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

var torture = flag.Bool("torture.packages", false, "build the packages, and install them in copies of this system")

// packages returns a folder with a .deb and an .rpm of version 1.0.0. The tests share it.
func packages(t *testing.T) string {
	t.Helper()
	if !*torture {
		t.Skip("SKIP: building the packages takes minutes; .ci/torture packages does")
	}
	dir, err := buildPackages()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var buildPackages = sync.OnceValues(func() (dir string, err error) {
	binary, err := static()
	if err != nil {
		return "", err
	}
	dir = octotest.Path("bin/test/packages")
	return dir, packagesOf(octotest.Path("."), dir, binary)
})

// packagesOf builds the packages of a source folder, with that binary, into dir.
func packagesOf(source, dir, binary string) error {
	build := exec.Command(filepath.Join(source, ".ci/packages"), dir, "v1.0.0", "amd64")
	build.Env = append(os.Environ(), "BINARY="+binary, "SOURCE_DATE_EPOCH=1767225600")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// inImage runs a script of sh as root in a copy of this system, which is gone afterwards: an
// overlay in namespaces of its own. A folder of this system is /packages there.
func inImage(t *testing.T, dir, script string) string {
	t.Helper()
	out, err := imageCommand(t, dir, script, `exec chroot "$root" /bin/sh -e /script`).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// imageCommand prepares the copy, and runs a last command that enters it.
func imageCommand(t *testing.T, dir, script, enter string) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIP: an image of this system needs root")
	}
	octotest.NeedTools(t, "unshare")
	if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("SKIP: this machine allows no mounts: %s", out)
	}
	mnt, file := t.TempDir(), filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	return exec.Command("unshare", "--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup", "sh", "-ec", strings.Join([]string{
		`mnt=$1 file=$2 packages=$3; root=$mnt/root`,
		`mount --make-rprivate /`,
		`mount -t tmpfs none "$mnt"; mkdir "$mnt/up" "$mnt/work" "$root"`,
		`mount -t overlay overlay -o "lowerdir=/,upperdir=$mnt/up,workdir=$mnt/work" "$root"`,
		`mount -t tmpfs none "$root/run"; mount -t tmpfs none "$root/tmp"; mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"`,
		`mkdir -p "$root/packages"; mount --bind "$packages" "$root/packages"; cp "$file" "$root/script"`,
		`ip link set lo up 2>/dev/null || true`,
		enter,
	}, "\n"), "sh", mnt, file, dir)
}
