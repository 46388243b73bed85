// Package rows holds the tables of a database: their schema and its migrations, the SQL
// that reads and writes them, and the checksum that every row carries.
//
// It works on one connection and is used by one goroutine at a time. When something is
// read or written, and what a failure means, the store decides.
package rows

import "github.com/octostore/octostore/core/store/sqlite/internal/conn"

// DB is a connection to a database, with the checksums of its rows. One goroutine at a time
// uses it.
type DB struct {
	*conn.Conn
	checksums checksums
}

// Open connects to the database at path, with the flags of [conn.Open].
func Open(path string, flags int32) (*DB, error) {
	c, err := conn.Open(path, flags)
	if err != nil {
		return nil, err
	}
	return &DB{Conn: c}, nil
}
