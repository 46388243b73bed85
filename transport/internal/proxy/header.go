package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
)

// signature begins a PROXY header of version 2. No HTTP request and no TLS handshake begins so.
const signature = "\r\n\r\n\x00\r\nQUIT\n"

const (
	// longestLine is that of version 1, by its specification.
	longestLine = 107
	// mostAddresses is how long the addresses and extensions of version 2 may be. Proxies send a
	// few hundred bytes at most.
	mostAddresses = 4096
)

// The families and commands of version 2.
const (
	local       = 0x20
	proxied     = 0x21
	unspecified = 0x00
	tcp4        = 0x11
	tcp6        = 0x21
	unixStream  = 0x31
)

var errNoHeader = errors.New("the connection does not begin with a PROXY protocol header")

// readHeader reads a PROXY header, and not a byte more, so that the connection can be used as if it
// had begun after it. It returns the address of the client, or a zero address if the proxy speaks
// for itself, such as in a health check, or does not tell.
func readHeader(from io.Reader) (netip.AddrPort, error) {
	var first [len(signature)]byte
	if _, err := io.ReadFull(from, first[:]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read the PROXY protocol header: %w", err)
	}
	switch {
	case string(first[:]) == signature:
		return readVersion2(from)
	case strings.HasPrefix(string(first[:]), "PROXY "):
		return readVersion1(from, first[:])
	}
	return netip.AddrPort{}, errNoHeader
}

func readVersion2(from io.Reader) (netip.AddrPort, error) {
	var head [4]byte // version and command, family, length
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read the PROXY protocol header: %w", err)
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	if length > mostAddresses {
		return netip.AddrPort{}, fmt.Errorf("the PROXY protocol header has %d bytes; at most %d are read", length, mostAddresses)
	}
	body := make([]byte, length) // the extensions after the addresses are read and left alone
	if _, err := io.ReadFull(from, body); err != nil {
		return netip.AddrPort{}, fmt.Errorf("read the PROXY protocol header: %w", err)
	}
	switch {
	case head[0] == local:
		return netip.AddrPort{}, nil
	case head[0] != proxied:
		return netip.AddrPort{}, fmt.Errorf("the PROXY protocol header has the version and command %#x", head[0])
	case head[1] == unspecified, head[1] == unixStream:
		return netip.AddrPort{}, nil
	case head[1] == tcp4 && length >= 12:
		return clientOf(body[:4], body[8:10])
	case head[1] == tcp6 && length >= 36:
		return clientOf(body[:16], body[32:34])
	}
	return netip.AddrPort{}, fmt.Errorf("the PROXY protocol header has the family %#x and %d bytes", head[1], length)
}

func clientOf(ip, port []byte) (netip.AddrPort, error) {
	a, _ := netip.AddrFromSlice(ip) // 4 or 16 bytes
	return checked(netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port)))
}

func checked(client netip.AddrPort) (netip.AddrPort, error) {
	if client.Addr().IsUnspecified() {
		return netip.AddrPort{}, errors.New("the PROXY protocol header has an address of zeros")
	}
	return client, nil
}

// readVersion1 reads the rest of a line like "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n". Its
// length is known only at its end, so it is read by single bytes.
func readVersion1(from io.Reader, begin []byte) (netip.AddrPort, error) {
	line := append(make([]byte, 0, longestLine), begin...)
	for line[len(line)-1] != '\n' {
		if len(line) == longestLine {
			return netip.AddrPort{}, errors.New("the PROXY protocol header is longer than its specification allows")
		}
		line = append(line, 0)
		if _, err := io.ReadFull(from, line[len(line)-1:]); err != nil {
			return netip.AddrPort{}, fmt.Errorf("read the PROXY protocol header: %w", err)
		}
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	words := strings.Split(text, " ")
	if ok && words[1] == "UNKNOWN" {
		return netip.AddrPort{}, nil // the rest of the line is to be ignored
	}
	if !ok || len(words) != 6 {
		return netip.AddrPort{}, errors.New("the PROXY protocol header is malformed")
	}
	a, err := netip.ParseAddr(words[2])
	port, valid := parsePort(words[4])
	if err != nil || !valid || a.Zone() != "" || words[1] != "TCP4" && words[1] != "TCP6" || a.Is4() != (words[1] == "TCP4") {
		return netip.AddrPort{}, errors.New("the PROXY protocol header has no client address")
	}
	return checked(netip.AddrPortFrom(a.Unmap(), port))
}
