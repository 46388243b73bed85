package lane

import (
	"io"
	"net"
	"sync"
	"syscall"
)

// bufferSize is the size of the longest request in the lane.
const bufferSize = 4 << 10

type buffer [bufferSize]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// input is what was read from a connection and not consumed. It has a buffer only while there are
// such bytes, so an idle connection has none.
type input struct {
	nc       net.Conn
	raw      syscall.RawConn // nil: read from nc
	try      func(fd uintptr) bool
	buf      *buffer // nil: there are no bytes
	from, to int     // of the bytes in buf

	n   int // what the last try has read
	err error
}

func (in *input) begin(nc net.Conn) {
	in.nc = nc
	in.raw = rawOf(nc)
	in.try = in.tryRead
}

// Wrapper is a connection whose bytes are those of a socket as they are. Only its addresses may
// differ.
type Wrapper interface {
	// Socket returns the socket; nil: there is none.
	Socket() *net.TCPConn
}

// rawOf returns the socket of a connection whose bytes are those of its socket, or nil.
func rawOf(nc net.Conn) syscall.RawConn {
	if !canTry {
		return nil
	}
	tcp, is := nc.(*net.TCPConn)
	if !is {
		over, has := nc.(Wrapper)
		if !has {
			return nil
		}
		if tcp = over.Socket(); tcp == nil {
			return nil
		}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

func (in *input) len() int { return in.to - in.from }

func (in *input) full() bool { return in.len() == bufferSize }

// bytes are valid until the next call of fill, consume or drop.
func (in *input) bytes() []byte {
	if in.buf == nil {
		return nil
	}
	return in.buf[in.from:in.to]
}

func (in *input) consume(n int) {
	if in.from += n; in.from == in.to {
		in.drop()
	}
}

// drop gives the buffer back.
func (in *input) drop() {
	if in.buf != nil {
		buffers.Put(in.buf)
		in.buf, in.from, in.to = nil, 0, 0
	}
}

// fill waits for bytes and reads some, of which there is room for at least one. If there are no
// bytes before, it takes a buffer only when some have arrived.
func (in *input) fill() error {
	if in.from > 0 {
		copy(in.buf[:], in.buf[in.from:in.to])
		in.from, in.to = 0, in.to-in.from
	}
	if in.raw == nil {
		if in.buf == nil {
			in.buf = buffers.Get().(*buffer)
		}
		in.n, in.err = in.nc.Read(in.buf[in.to:])
	} else if err := in.raw.Read(in.try); err != nil {
		return err
	}
	in.to += in.n
	if in.len() == 0 {
		in.drop()
	}
	switch {
	case in.n > 0:
		return nil
	case in.err == nil:
		return io.EOF
	}
	return in.err
}

// tryRead reads once, and reports whether that did not have to wait.
func (in *input) tryRead(fd uintptr) bool {
	had := in.buf != nil
	if !had {
		in.buf = buffers.Get().(*buffer)
	}
	n, err := readSocket(fd, in.buf[in.to:])
	if wouldBlock(err) {
		if !had {
			in.drop()
		}
		return false
	}
	in.n, in.err = max(0, n), err
	return true
}
