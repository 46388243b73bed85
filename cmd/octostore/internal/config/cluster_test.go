package config

import (
	"strings"
	"testing"
)

// inEtcd are the settings that a node needs.
var inEtcd = []string{"OCTOSTORE_STORE=etcd", "OCTOSTORE_ETCD_ENDPOINTS=http://a:2379, http://b:2379", "OCTOSTORE_ADVERTISE_URL=http://me:3000/", "OCTOSTORE_NODE=n1"}

func TestClusterSettingsOfANode(t *testing.T) {
	got, err := load(t, inEtcd...)
	if err != nil {
		t.Fatal(err)
	}
	if list := got.EtcdEndpoints.List(); len(list) != 2 || list[1] != "http://b:2379" || got.EtcdEndpoints.TLS() {
		t.Errorf("the endpoints are %q, TLS %v", list, got.EtcdEndpoints.TLS())
	}
	if got.Store != Etcd || got.Node != "n1" || got.AdvertiseURL != "http://me:3000" {
		t.Errorf("got store %q, node %q at %q", got.Store, got.Node, got.AdvertiseURL)
	}
}

func TestClusterSettingsThatDoNotFitTogetherAreNamedAtOnce(t *testing.T) {
	tests := map[string]struct {
		environ []string
		want    []string // one for each mistake
	}{
		"nothing but the store": {[]string{"OCTOSTORE_STORE=etcd", "OCTOSTORE_NODE=n1"}, []string{
			`OCTOSTORE_ETCD_ENDPOINTS="none" (default) is missing, for OCTOSTORE_STORE is etcd`,
			`OCTOSTORE_ADVERTISE_URL="none" (default) is missing`,
		}},
		"a certificate for http": {append([]string{"OCTOSTORE_ETCD_CA=ca.pem", "OCTOSTORE_ETCD_CERT=c.pem", "OCTOSTORE_ETCD_KEY=k.pem"}, inEtcd...), []string{
			`OCTOSTORE_ETCD_CA="ca.pem" has no effect, for OCTOSTORE_ETCD_ENDPOINTS are http`,
			`OCTOSTORE_ETCD_CERT="c.pem" has no effect`,
			`OCTOSTORE_ETCD_KEY="k.pem" has no effect`,
		}},
		"a key without a certificate": {append(inEtcd[:1:1], "OCTOSTORE_ETCD_ENDPOINTS=https://a:2379", inEtcd[2], inEtcd[3], "OCTOSTORE_ETCD_KEY=k.pem"), []string{
			`OCTOSTORE_ETCD_CERT="none" (default) is missing, for there is OCTOSTORE_ETCD_KEY`,
		}},
		"a user without a password": {append([]string{"OCTOSTORE_ETCD_USER=octo"}, inEtcd...), []string{
			`OCTOSTORE_ETCD_PASSWORD_FILE="none" (default) is missing, for there is OCTOSTORE_ETCD_USER`,
		}},
		"a password without a user": {append([]string{"OCTOSTORE_ETCD_PASSWORD_FILE=p"}, inEtcd...), []string{
			`OCTOSTORE_ETCD_USER="none" (default) is missing, for there is OCTOSTORE_ETCD_PASSWORD_FILE`,
		}},
		"an http URL of a server with a certificate": {append([]string{"OCTOSTORE_TLS_CERT=c.pem", "OCTOSTORE_TLS_KEY=k.pem"}, inEtcd...), []string{
			`OCTOSTORE_ADVERTISE_URL="http://me:3000/" is http, but with OCTOSTORE_TLS_CERT`,
		}},
		"an https URL of a server without a certificate": {append(inEtcd[:2:2], "OCTOSTORE_ADVERTISE_URL=https://me:3000", inEtcd[3]), []string{
			`OCTOSTORE_ADVERTISE_URL="https://me:3000" is https, but there is no OCTOSTORE_TLS_CERT`,
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, tt.environ...)
			if err == nil {
				t.Fatal("nothing was refused")
			}
			lines := strings.Split(err.Error(), "\n")[1:]
			if len(lines) != len(tt.want) {
				t.Fatalf("got %d mistakes, want %d:\n%v", len(lines), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(strings.TrimSpace(lines[i]), want) {
					t.Errorf("mistake %d is %s\nwant %s", i+1, lines[i], want)
				}
			}
		})
	}
}
