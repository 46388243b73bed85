package config

import "testing"

func TestLocalURLReachesTheListenerFromTheSameMachine(t *testing.T) {
	for _, c := range []struct{ addr, cert, want string }{
		{"127.0.0.1:3000", "", "http://127.0.0.1:3000"},
		{":3000", "", "http://127.0.0.1:3000"},
		{"0.0.0.0:3000", "cert.pem", "https://127.0.0.1:3000"},
		{"[::]:3000", "", "http://[::1]:3000"},
		{"[fd00::1]:443", "cert.pem", "https://[fd00::1]:443"},
		{"localhost:3000", "", "http://localhost:3000"},
		{"127.0.0.1:0", "", ""},
	} {
		got, err := Config{TLSCert: File(c.cert)}.LocalURL(c.addr)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: got %q, %v, want %q", c.addr, got, err, c.want)
		}
	}
}
