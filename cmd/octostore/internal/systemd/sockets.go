package systemd

import (
	"fmt"
	"net"
	"slices"
)

// Sockets are the listening sockets of socket units. Nil: systemd has passed none of that
// name.
type Sockets struct{ Main, Admin net.Listener }

// Sockets returns the listeners that systemd has passed, by the FileDescriptorName of their
// units. Everything but one TCP socket for each of the names main and admin is an error, and
// then all are closed.
func (u *Unit) Sockets() (Sockets, error) {
	var s Sockets
	if u == nil {
		return s, nil
	}
	for _, f := range u.files {
		l, err := net.FileListener(f)
		name := f.Name()
		_ = f.Close() // the listener has a copy
		if err == nil {
			err = s.add(name, l)
		}
		if err != nil {
			s.Close()
			return Sockets{}, fmt.Errorf("socket %q of systemd: %w", name, err)
		}
	}
	return s, nil
}

// add keeps a listener, or closes it.
func (s *Sockets) add(name string, l net.Listener) error {
	err := s.place(name, l)
	if err != nil {
		_ = l.Close() // it is of no use
	}
	return err
}

func (s *Sockets) place(name string, l net.Listener) error {
	to := map[string]*net.Listener{"main": &s.Main, "admin": &s.Admin}[name]
	switch _, tcp := l.(*net.TCPListener); {
	case to == nil:
		return fmt.Errorf("unknown name; want FileDescriptorName=main, or admin, in the [Socket] section of its unit")
	case *to != nil:
		return fmt.Errorf("second socket of that name; want one ListenStream, in one unit")
	case !tcp:
		return fmt.Errorf("not a TCP socket; want ListenStream=ADDRESS:PORT")
	}
	*to = l
	return nil
}

// Close closes the listeners. Systemd keeps the sockets: a connection made from now on waits
// for the next process that takes them.
func (s Sockets) Close() {
	for _, l := range slices.DeleteFunc([]net.Listener{s.Main, s.Admin}, func(l net.Listener) bool { return l == nil }) {
		_ = l.Close() // no-op if already closed
	}
}
