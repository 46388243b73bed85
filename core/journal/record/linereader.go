package record

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

// maxLine is more than the longest possible line: strings and notes are limited.
const maxLine = 1 << 20

// ErrLineTooLong is returned for a line that is too long for any journal.
var ErrLineTooLong = errors.New("a line is longer than any line of a journal")

// LineReader reads and counts the lines of an export. Make one with [NewLineReader].
type LineReader struct {
	in     *bufio.Reader
	number int
	long   []byte
}

// NewLineReader returns a reader of lines from r, which may be compressed with gzip.
func NewLineReader(r io.Reader) (*LineReader, error) {
	in := bufio.NewReaderSize(r, 256<<10)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReaderSize(unpacked, 256<<10)
	}
	return &LineReader{in: in}, nil
}

// Number returns the number of the line that was read last, from 1; 0 before the first.
func (r *LineReader) Number() int { return r.number }

// Next returns the next line without its newline, valid until the next call. After the
// last line it returns [io.EOF]. If the input ends or cannot be read within a line, it
// returns that part with [io.ErrUnexpectedEOF] or the error, and does not count it.
func (r *LineReader) Next() ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.rest(line)
	}
	switch {
	case err == nil:
		r.number++
		return line[:len(line)-1], nil
	case len(line) == 0:
		return nil, err
	case errors.Is(err, io.EOF):
		return line, io.ErrUnexpectedEOF
	}
	return line, err
}

// rest reads the rest of a line that is longer than the buffer.
func (r *LineReader) rest(begun []byte) ([]byte, error) {
	r.long = append(r.long[:0], begun...)
	for len(r.long) <= maxLine {
		more, err := r.in.ReadSlice('\n')
		r.long = append(r.long, more...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return r.long, err
		}
	}
	return nil, ErrLineTooLong
}
