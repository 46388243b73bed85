package proxy

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"testing"
)

// version2 returns a header of version 2.
func version2(command, family byte, addresses ...string) string {
	var body []byte
	for _, a := range addresses {
		body = append(body, netip.MustParseAddr(a).AsSlice()...)
	}
	for range addresses {
		body = binary.BigEndian.AppendUint16(body, 4711)
	}
	return version2Bytes(command, family, string(body))
}

func version2Bytes(command, family byte, body string) string {
	return signature + string([]byte{command, family, byte(len(body) >> 8), byte(len(body))}) + body
}

// extended appends extensions to a header of version 2, which has their length in it.
func extended(header, extensions string) string {
	b := []byte(header + extensions)
	binary.BigEndian.PutUint16(b[14:], uint16(len(b)-16))
	return string(b)
}

func TestHeaderOfTheProxyProtocol(t *testing.T) {
	ssl := "\x20\x00\x05\x01\x00\x00\x00\x00\x03\x00\x04\x12\x34\x56\x78" // nested extensions, and a checksum
	v4 := version2(proxied, tcp4, "203.0.113.7", "192.0.2.1")
	tests := []struct {
		name, header string
		want         string // empty: the proxy speaks for itself
		fails        string
	}{
		{name: "version 2", header: v4, want: "203.0.113.7:4711"},
		{name: "version 2, IPv6", header: version2(proxied, tcp6, "2001:db8::7", "2001:db8::1"), want: "[2001:db8::7]:4711"},
		{name: "version 2, mapped", header: version2(proxied, tcp6, "::ffff:203.0.113.7", "::1"), want: "203.0.113.7:4711"},
		{name: "extensions", header: extended(v4, ssl), want: "203.0.113.7:4711"},
		{name: "extensions that lie about their length", header: extended(v4, "\x01\xff\xff"), want: "203.0.113.7:4711"},
		{name: "the longest", header: extended(v4, strings.Repeat("\x04", mostAddresses-12)), want: "203.0.113.7:4711"},
		{name: "longer", header: extended(v4, strings.Repeat("\x04", mostAddresses-11)), fails: "at most 4096"},
		{name: "local", header: version2Bytes(local, unspecified, "")},
		{name: "local with addresses", header: version2(local, tcp4, "203.0.113.7", "192.0.2.1")},
		{name: "unspecified", header: version2Bytes(proxied, unspecified, "abc")},
		{name: "a Unix socket", header: version2Bytes(proxied, unixStream, strings.Repeat("x", 216))},
		{name: "datagrams", header: version2(proxied, 0x12, "203.0.113.7", "192.0.2.1"), fails: "family 0x12"},
		{name: "too short for its family", header: version2Bytes(proxied, tcp6, strings.Repeat("x", 35)), fails: "35 bytes"},
		{name: "another version", header: version2Bytes(0x31, tcp4, strings.Repeat("x", 12)), fails: "command 0x31"},
		{name: "another command", header: version2Bytes(0x22, tcp4, strings.Repeat("x", 12)), fails: "command 0x22"},
		{name: "zeros", header: version2(proxied, tcp4, "0.0.0.0", "192.0.2.1"), fails: "zeros"},
		{name: "cut", header: v4[:20], fails: "unexpected EOF"},
		{name: "cut in the signature", header: v4[:5], fails: "unexpected EOF"},
		{name: "nothing", header: "", fails: "EOF"},
		{name: "version 1", header: "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n", want: "203.0.113.7:4711"},
		{name: "version 1, IPv6", header: "PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", want: "[2001:db8::7]:4711"},
		{name: "version 1, unknown", header: "PROXY UNKNOWN\r\n"},
		{name: "version 1, unknown with a rest", header: "PROXY UNKNOWN ffff::1 x\r\n"},
		{name: "version 1, families mixed", header: "PROXY TCP6 203.0.113.7 192.0.2.1 4711 443\r\n", fails: "no client address"},
		{name: "version 1, a zone", header: "PROXY TCP6 fe80::1%0 fe80::2 4711 443\r\n", fails: "no client address"},
		{name: "version 1, no address", header: "PROXY TCP4 me you 4711 443\r\n", fails: "no client address"},
		{name: "version 1, no carriage return", header: "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\n", fails: "malformed"},
		{name: "version 1, words missing", header: "PROXY TCP4 203.0.113.7\r\n", fails: "malformed"},
		{name: "version 1, endless", header: "PROXY " + strings.Repeat("x", 200), fails: "longer"},
		{name: "a request", header: "GET /v1/locks HTTP/1.1\r\n\r\n", fails: "does not begin with"},
		{name: "a handshake", header: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abc", fails: "does not begin with"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			const after = "GET / HTTP/1.1\r\n"
			in := strings.NewReader(c.header)
			if c.fails == "" {
				in = strings.NewReader(c.header + after)
			}
			got, err := readHeader(in)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("%v %v, want an error with %q", got, err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.IsValid() != (c.want != "") || got.IsValid() && got.String() != c.want {
				t.Errorf("%v, want %q", got, c.want)
			}
			if rest, _ := io.ReadAll(in); string(rest) != after {
				t.Errorf("%q is left to read, want what follows the header", rest)
			}
		})
	}
}

// Whatever a proxy sends, at most the header is read.
func FuzzHeader(f *testing.F) {
	f.Add([]byte(version2(proxied, tcp4, "203.0.113.7", "192.0.2.1") + "x"))
	f.Add([]byte(version2Bytes(local, unspecified, "\x04\x00\x01x")))
	f.Add([]byte("PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\nx"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		in := bytes.NewReader(sent)
		client, err := readHeader(in)
		read := len(sent) - in.Len()
		if read > 16+mostAddresses {
			t.Errorf("%d bytes were read", read)
		}
		if client.IsValid() && (err != nil || client.Addr().Zone() != "" || client.Addr().IsUnspecified()) {
			t.Errorf("the client is %v: %v", client, err)
		}
		if err == nil && string(sent[:12]) == signature {
			if want := 16 + int(binary.BigEndian.Uint16(sent[14:])); read != want {
				t.Errorf("%d bytes were read of a header of %d", read, want)
			}
		}
	})
}
