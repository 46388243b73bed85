package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
)

// ErrIncomplete says that a backup was cut off, or changed on its way.
var ErrIncomplete = errors.New("the backup is not as the server sent it")

// Backup is a copy of the server's database on its way. Read returns [io.EOF] only if all
// of it has come and has its digest, else an [ErrIncomplete]. The caller closes it.
type Backup struct {
	Size int64 // bytes

	body   io.ReadCloser
	digest string // in base64
	sum    hash.Hash
	read   int64
}

// Backup asks the server for a copy of its database, which takes the scope admin. The
// server makes it first, so the answer may take long to begin.
func (c *Client) Backup(ctx context.Context) (*Backup, error) {
	req, err := c.request(ctx, http.MethodGet, "/v1/backup", nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(c.long, req)
	if err != nil {
		return nil, err
	}
	digest, has := strings.CutPrefix(resp.Header.Get("Content-Digest"), "sha-256=:")
	if !has || resp.ContentLength <= 0 {
		resp.Body.Close()
		return nil, c.foreign()
	}
	return &Backup{Size: resp.ContentLength, body: resp.Body, digest: strings.TrimSuffix(digest, ":"), sum: sha256.New()}, nil
}

// Read implements [io.Reader].
func (b *Backup) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.sum.Write(p[:n])
	b.read += int64(n)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF) || b.read != b.Size:
		return n, fmt.Errorf("%w: %d of %d bytes came: %w", ErrIncomplete, b.read, b.Size, noEOF(err))
	case base64.StdEncoding.EncodeToString(b.sum.Sum(nil)) != b.digest:
		return n, fmt.Errorf("%w: it has another SHA-256", ErrIncomplete)
	}
	return n, io.EOF
}

// noEOF keeps the end of a part from being taken for that of the whole.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close closes the connection, if the backup was not read to its end.
func (b *Backup) Close() error { return b.body.Close() }
