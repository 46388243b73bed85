package peer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	grpcPrefix  = 5       // bytes before a message: a flag and the length
	grpcWindow  = 1 << 30 // bytes of answers that the server may send unasked
	grpcMessage = 1 << 20 // longest message
)

// grpcConn is a connection that makes one gRPC call at a time, with the frames of net/http2 and
// header blocks that are made once.
type grpcConn struct {
	*link
	out    *bufio.Writer
	frames *http2.Framer
	addr   string
	heads  map[string][]byte // header blocks by method
	stream uint32            // of the call under way
	buf    []byte            // messages of the answer, with their prefixes
	ended  bool              // the server has ended the call
}

func dialGRPC(ctx context.Context, addr string, patience time.Duration) (*grpcConn, error) {
	l, err := dialLink(ctx, addr, patience)
	if err != nil {
		return nil, err
	}
	c := &grpcConn{link: l, out: bufio.NewWriter(l), addr: addr, heads: map[string][]byte{}}
	c.stream = ^uint32(0) // the first is 1
	c.frames = http2.NewFramer(c.out, bufio.NewReader(l))
	c.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.frames.SetReuseFrames()
	c.out.WriteString(http2.ClientPreface)
	err = errors.Join(c.frames.WriteSettings(), c.frames.WriteWindowUpdate(0, grpcWindow), c.out.Flush())
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// call makes a call with one message and returns the one of the answer, valid until the
// next call.
func (c *grpcConn) call(method string, message []byte) ([]byte, error) {
	if err := c.open(method, message, true); err != nil {
		return nil, err
	}
	for !c.ended {
		if err := c.read(); err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
	}
	answer, ok := c.message()
	if !ok {
		return nil, fmt.Errorf("%s: an answer without a message", method)
	}
	return answer, nil
}

// open begins a call with one message; last: there will be no other.
func (c *grpcConn) open(method string, message []byte, last bool) error {
	c.stream += 2
	c.buf, c.ended = c.buf[:0], false
	framed := make([]byte, grpcPrefix, grpcPrefix+len(message))
	binary.BigEndian.PutUint32(framed[1:], uint32(len(message)))
	head := http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: c.head(method), EndHeaders: true}
	return errors.Join(
		c.frames.WriteHeaders(head),
		c.frames.WriteData(c.stream, last, append(framed, message...)),
		c.out.Flush(),
	)
}

// next returns the next message of a call that has several.
func (c *grpcConn) next() ([]byte, error) {
	for {
		if message, ok := c.message(); ok {
			return message, nil
		}
		if c.ended {
			return nil, errors.New("the server has ended the call")
		}
		if err := c.read(); err != nil {
			return nil, err
		}
	}
}

// cancel ends a call that has several messages.
func (c *grpcConn) cancel() error {
	return errors.Join(c.frames.WriteRSTStream(c.stream, http2.ErrCodeCancel), c.out.Flush())
}

// message takes a whole message out of the buffer.
func (c *grpcConn) message() ([]byte, bool) {
	if len(c.buf) < grpcPrefix {
		return nil, false
	}
	end := grpcPrefix + int(binary.BigEndian.Uint32(c.buf[1:]))
	if len(c.buf) < end {
		return nil, false
	}
	message := c.buf[grpcPrefix:end]
	c.buf = c.buf[end:]
	return message, true
}

// read reads one frame. What it acknowledges leaves with the next call: etcd pings for nearly
// every call, to measure the connection, and a write for each would be taken from its processor time.
func (c *grpcConn) read() error {
	frame, err := c.frames.ReadFrame()
	if err != nil {
		return err
	}
	ours := frame.Header().StreamID == c.stream
	switch f := frame.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return c.frames.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.frames.WritePing(true, f.Data)
		}
	case *http2.GoAwayFrame:
		return fmt.Errorf("the server closes the connection: %s", f.ErrCode)
	case *http2.RSTStreamFrame:
		if ours {
			return fmt.Errorf("the server has reset the call: %s", f.ErrCode)
		}
	case *http2.DataFrame:
		if ours {
			c.buf = append(c.buf, f.Data()...)
		}
		if len(c.buf) > grpcMessage {
			return errors.New("the answer is too long")
		}
	case *http2.MetaHeadersFrame:
		if ours && f.StreamEnded() {
			c.ended = true
			return status(f)
		}
	}
	return nil
}

// status returns the error of the last headers of an answer.
func status(f *http2.MetaHeadersFrame) error {
	var code, text string
	for _, h := range f.Fields {
		switch h.Name {
		case "grpc-status":
			code = h.Value
		case "grpc-message":
			text = h.Value
		}
	}
	if code == "0" {
		return nil
	}
	return refused("gRPC status %q: %s", code, text)
}

// head returns the header block of a call. Its fields enter no table, so it is the same for
// all calls.
func (c *grpcConn) head(method string) []byte {
	if head := c.heads[method]; head != nil {
		return head
	}
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	for _, field := range [][2]string{
		{":method", "POST"},
		{":scheme", "http"},
		{":path", method},
		{":authority", c.addr},
		{"content-type", "application/grpc"},
		{"te", "trailers"},
		{"user-agent", "octostore-bench"},
	} {
		// An encoder that writes into memory cannot fail.
		_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true})
	}
	c.heads[method] = head.Bytes()
	return head.Bytes()
}
