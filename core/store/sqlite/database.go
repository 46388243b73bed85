package sqlite

// database is a connection to a database and the checksums of its rows. It is used by
// one goroutine at a time.
type database struct {
	*conn
	sums sums
}

func openDatabase(path string, flags int32) (*database, error) {
	c, err := openConn(path, flags)
	if err != nil {
		return nil, err
	}
	return &database{conn: c}, nil
}
