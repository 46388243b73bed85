package sqlite

import "github.com/octostore/octostore/core/store/sqlite/internal/conn"

// database is a connection to a database and the checksums of its rows. It is used by
// one goroutine at a time.
type database struct {
	*conn.Conn
	sums sums
}

func openDatabase(path string, flags int32) (*database, error) {
	c, err := conn.Open(path, flags)
	if err != nil {
		return nil, err
	}
	return &database{Conn: c}, nil
}
