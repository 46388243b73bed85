package deploy_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// The life of the .deb: installed, used, upgraded, removed and purged, in a copy of this system.
func TestPackageForDebianIsInstalledUpgradedAndPurged(t *testing.T) {
	octotest.NeedTools(t, "dpkg-deb", "setpriv")
	t.Log(inImage(t, packages(t), `
exec 2>&1
say() { echo "--- $*"; }
fail() { echo "FAILED: $*"; exit 1; }
deb=/packages/octostore_1.0.0_amd64.deb
export DEBIAN_FRONTEND=noninteractive

say install
dpkg -i $deb
id octostore
[ "$(stat -c '%a %U:%G' /etc/octostore/octostore.env)" = "640 root:octostore" ] || fail "the settings are $(stat -c '%a %U:%G' /etc/octostore/octostore.env)"
[ "$(stat -c '%a %U:%G' /var/lib/octostore)" = "700 octostore:octostore" ] || fail "the data"
for f in /usr/lib/systemd/system/octostore.service /usr/lib/systemd/system/octostore.socket /usr/share/man/man1/octostore.1.gz \
	/usr/share/doc/octostore/docs/install.md /usr/share/doc/octostore/copyright; do [ -s $f ] || fail "no $f"; done
bash -n /usr/share/bash-completion/completions/octostore
grep -q '^#compdef octostore' /usr/share/zsh/vendor-completions/_octostore
grep -q '^complete' /usr/share/fish/vendor_completions.d/octostore.fish
zcat /usr/share/man/man1/octostore-serve.1.gz | grep -q '^.TH'

say run
as="setpriv --reuid=octostore --regid=octostore --clear-groups --inh-caps=-all"
cd /var/lib/octostore
$as octostore serve --env-file /etc/octostore/octostore.env 2>log &
server=$!
i=0; until $as octostore healthcheck --ready --env-file /etc/octostore/octostore.env; do i=$((i+1)); [ $i -lt 100 ] || { cat log; fail "it does not listen"; }; sleep 0.1; done
octostore run a -- echo "under the lock"
kill $server; wait $server
[ -s octostore.db ] || fail "no database"

say upgrade
dpkg-deb -R $deb /tmp/next
sed -i 's/^Version: .*/Version: 1.1.0/' /tmp/next/DEBIAN/control
dpkg-deb -Znone --build /tmp/next /tmp/next.deb >/dev/null
echo '# mine' >>/etc/octostore/octostore.env
dpkg -i /tmp/next.deb
dpkg-query -W -f '${Version}\n' octostore | grep -x 1.1.0
grep -q '^# mine' /etc/octostore/octostore.env || fail "the settings were replaced"
[ "$(stat -c '%a %U:%G' /etc/octostore/octostore.env)" = "640 root:octostore" ] || fail "the settings after an upgrade"
[ -s octostore.db ] || fail "an upgrade removed the database"

say remove
mkdir -p /var/cache/octostore
cd /
dpkg -r octostore
[ -s /var/lib/octostore/octostore.db ] || fail "a removal removed the database"
[ -s /etc/octostore/octostore.env ] || fail "a removal removed the settings"
[ ! -e /var/cache/octostore ] || fail "compiled policies are left"
[ ! -e /usr/bin/octostore ] || fail "the binary is left"

say purge
dpkg --purge octostore
for d in /var/lib/octostore /etc/octostore /var/cache/octostore; do [ ! -e $d ] || fail "$d is left"; done
say done
`))
}

// Packages of another folder, made at another time, have the same bytes. That binaries have the
// same bytes is what .ci/dist-twice shows.
func TestPackagesAreReproducible(t *testing.T) {
	first := packages(t)
	source, second := t.TempDir(), t.TempDir()
	copied := exec.Command("sh", "-ec", `git ls-files -z | tar -cf - --null -T - | tar -xf - -C "$0"`, source)
	copied.Dir = octotest.Path(".")
	if out, err := copied.CombinedOutput(); err != nil {
		t.Fatalf("copy the source: %v\n%s", err, out)
	}
	binary, err := static()
	if err == nil {
		err = packagesOf(source, second, binary)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"octostore_1.0.0_amd64.deb", "octostore-1.0.0-1.x86_64.rpm"} {
		one, err := os.ReadFile(filepath.Join(first, name))
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(filepath.Join(second, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, other) {
			t.Errorf("two builds of %s differ", name)
		}
	}
}

// The .rpm has the same files and scripts, and is installed, upgraded and removed with its data
// left, in a copy of this system with an empty database of rpm.
func TestPackageForRPMIsInstalledAndRemoved(t *testing.T) {
	octotest.NeedTools(t, "rpm")
	t.Log(inImage(t, packages(t), `
exec 2>&1
fail() { echo "FAILED: $*"; exit 1; }
rpm=/packages/octostore-1.0.0-1.x86_64.rpm
rpm --initdb
rpm -qp --scripts $rpm | grep -q 'try-restart octostore.service' || fail "the scripts"
rpm -qp -l $rpm >/tmp/list
for f in /usr/bin/octostore /usr/lib/systemd/system/octostore.service /usr/lib/sysusers.d/octostore.conf /etc/octostore/octostore.env \
	/usr/share/man/man1/octostore.1.gz /usr/share/zsh/site-functions/_octostore /usr/share/licenses/octostore/LICENSE; do
	grep -qx $f /tmp/list || fail "no $f"
done
rpm -qp --configfiles $rpm | grep -qx /etc/octostore/octostore.env || fail "the settings are no configuration file"
rpm -i --nodeps $rpm
octostore version
[ "$(stat -c '%a %U:%G' /etc/octostore/octostore.env)" = "640 root:octostore" ] || fail "the settings"
[ "$(stat -c '%a %U:%G' /var/lib/octostore)" = "700 octostore:octostore" ] || fail "the data"
touch /var/lib/octostore/octostore.db
echo '# mine' >>/etc/octostore/octostore.env
rpm -U --force --nodeps $rpm
grep -q '^# mine' /etc/octostore/octostore.env || fail "the settings were replaced"
rpm -e octostore
[ -e /var/lib/octostore/octostore.db ] || fail "the database was removed"
[ ! -e /usr/bin/octostore ] || fail "the binary is left"
`))
}

// The image of the Dockerfile, put together by hand: its files in an empty folder, its variables
// and its user. No Docker daemon is needed, and none checks the rest of the file.
func TestImageServesAsItsUserInAnEmptyFolder(t *testing.T) {
	octotest.NeedTools(t, "unshare", "chroot")
	file := read(t, "deploy/container/Dockerfile")
	for _, want := range []string{
		"\nFROM scratch\n", "\nUSER 65532:65532\n", "\nSTOPSIGNAL SIGTERM\n", "\nVOLUME /data\n", `CMD ["/usr/bin/octostore", "healthcheck", "--ready"]`,
		"\nENTRYPOINT [\"/usr/bin/octostore\"]\nCMD [\"serve\"]\n", "COPY --from=build --chown=65532:65532 /data /data\n",
	} {
		if !strings.Contains(file, want) {
			t.Errorf("the Dockerfile has no %q", strings.TrimSpace(want))
		}
	}
	env := regexp.MustCompile(`(?m)^ENV (.*)$`).FindStringSubmatch(file)
	if env == nil {
		t.Fatal("the Dockerfile sets no variables")
	}
	binary, err := static()
	if err != nil {
		t.Fatal(err)
	}
	cmd := imageCommand(t, t.TempDir(), "", `
fail() { echo "FAILED: $*"; exit 1; }
chroot=$(command -v chroot); image=$mnt/image; mkdir -p "$image/usr/bin" "$image/data" "$image/proc"
cp `+binary+` "$image/usr/bin/octostore"; chown 65532:65532 "$image/data"
mount -t proc proc "$image/proc"
docker() { env -i `+env[1]+` "$chroot" --userspec=65532:65532 --groups= "$image" /usr/bin/octostore "$@"; }
if docker serve >"$mnt/log" 2>&1; then fail "it serves without a token"; fi
grep -q 'octostore token create --admin --create' "$mnt/log" || fail "it does not say how to begin: $(cat "$mnt/log")"
docker token create --admin --create >/dev/null
docker serve 2>"$mnt/log" &
i=0; until docker healthcheck --ready; do i=$((i+1)); [ $i -lt 100 ] || { cat "$mnt/log"; fail "it is not healthy"; }; sleep 0.1; done
set -- $(cat "$image"/proc/[0-9]*/stat | sed -n 's/^\([0-9]*\) (octostore) .*/\1/p')
[ "$(stat -c %u "$image/proc/$1")" = 65532 ] || fail "it is not run by its user"
kill -TERM "$1"; wait
if docker healthcheck; then fail "healthy without a server"; fi
[ -s "$image/data/octostore.db" ] || fail "no database"
echo passed
`)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "passed") {
		t.Errorf("%v\n%s", err, out)
	}
}
