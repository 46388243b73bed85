package journal

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

// maxLine is more than the longest line there can be: texts and notes are bounded.
const maxLine = 1 << 20

var errLineTooLong = errors.New("a line is longer than any line of a journal")

// lineReader reads lines and counts them. What it reads may be compressed.
type lineReader struct {
	in     *bufio.Reader
	number int // of the line read last, from 1
	long   []byte
}

func newLineReader(r io.Reader) (*lineReader, error) {
	in := bufio.NewReaderSize(r, 256<<10)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReaderSize(unpacked, 256<<10)
	}
	return &lineReader{in: in}, nil
}

// next returns the next line without its newline, good until the call after. A line
// that is not ended is [io.ErrUnexpectedEOF]; after the last one comes [io.EOF].
func (r *lineReader) next() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		line, err = r.rest(line)
	}
	switch {
	case err == io.EOF && len(line) > 0:
		return nil, io.ErrUnexpectedEOF
	case err != nil:
		return nil, err
	}
	r.number++
	return line[:len(line)-1], nil
}

// rest reads the rest of a line that does not fit into the buffer.
func (r *lineReader) rest(begun []byte) ([]byte, error) {
	r.long = append(r.long[:0], begun...)
	for len(r.long) <= maxLine {
		more, err := r.in.ReadSlice('\n')
		r.long = append(r.long, more...)
		if err != bufio.ErrBufferFull {
			return r.long, err
		}
	}
	return nil, errLineTooLong
}
