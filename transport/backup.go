package transport

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/auth"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/transport/internal/wire"
	"github.com/octostore/octostore/transport/problem"
)

// Backups makes copies of the database. It is used by many goroutines, which begin one copy
// at a time.
type Backups interface {
	// Begin makes a copy, and puts on record who gets it. Errors: [lock.ErrFull] if there is
	// no space for it, and that of ctx. The caller closes its content.
	Begin(ctx context.Context, by lock.Origin) (*Backup, error)
	// Delivered puts on record that a whole copy was sent.
	Delivered(at time.Time)
	// Last returns when a copy that was sent whole was begun, also before a restart; zero: never.
	Last() time.Time
}

// Backup is a copy of the database.
type Backup struct {
	At      time.Time // the moment it was begun
	Size    int64
	SHA256  [32]byte
	Content io.ReadCloser
}

// backupUnsent is how many bytes of a backup the system may keep for a client that does not
// read them, backupPiece how many are written with one deadline.
const (
	backupUnsent = 512 << 10
	backupPiece  = 64 << 10
)

// backup sends a copy of the database, until the client's token ends.
func (x *exchange) backup() error {
	if err := core.MayAll(x.principal, "back up the database", auth.Admin); err != nil {
		return err
	}
	if x.api.backups == nil {
		return problem.ErrNoBackups
	}
	defer x.endWithToken()()
	return x.cause(x.sendBackup())
}

func (x *exchange) sendBackup() error {
	if !x.api.backing.Begin(x.principal.Account) {
		return problem.ErrBackingUp
	}
	defer x.api.backing.End(x.principal.Account)
	if x.r.Method == http.MethodHead {
		_, err := x.beginStream(wire.TypeSQLite, false, backupUnsent)
		return err
	}
	b, err := x.api.backups.Begin(x.context(), x.actor())
	if err != nil {
		return err
	}
	defer b.Content.Close()
	h := x.Header()
	h["Content-Length"] = []string{strconv.FormatInt(b.Size, 10)}
	h["Content-Digest"] = []string{"sha-256=:" + base64.StdEncoding.EncodeToString(b.SHA256[:]) + ":"}
	h["Content-Disposition"] = []string{fmt.Sprintf("attachment; filename=%q", "octostore-"+b.At.UTC().Format("20060102T150405Z")+".db")}
	s, err := x.beginStream(wire.TypeSQLite, false, backupUnsent)
	if err != nil {
		return err
	}
	if err := x.sendPieces(s, b.Content); err != nil {
		return err
	}
	if err := s.Flush(); err != nil {
		return err
	}
	x.api.backups.Delivered(b.At)
	return s.Close()
}

// sendPieces sends a file. Each piece has a deadline of its own.
func (x *exchange) sendPieces(s *wire.Stream, from io.Reader) error {
	piece := make([]byte, backupPiece)
	for {
		if err := x.context().Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(from, piece)
		if n > 0 {
			if err := s.Write(piece[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// lastOf returns a function for the time of the last backup; nil without backups.
func lastOf(b Backups) func() time.Time {
	if b == nil {
		return nil
	}
	return b.Last
}
