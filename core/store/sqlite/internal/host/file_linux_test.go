package host

import "testing"

// The table of mounts is for kernels that do not say of a file what is mounted there.
func TestMountTable(t *testing.T) {
	table := []byte(`24 30 0:22 / /proc rw,nosuid - proc proc rw
1283 1280 254:0 /var/host.db /data/octo\040store.db rw,relatime master:1 - ext4 /dev/vda rw
`)
	for path, want := range map[string]bool{
		"/proc": true, "/data/octo store.db": true, "/data": false, "/var/host.db": false, "/": false, `/data/octo\040store.db`: false,
	} {
		if got := inMountTable(table, path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
