package sqlite

import "errors"

// ending says how the writing connection is to be closed after a failure, or none. The
// caller has mu.
func (s *Store) ending(failure error) ending {
	overwritten := s.lookAtLog()
	if overwritten != nil {
		s.log.Error("the write-ahead log is left as it is", "path", s.path, "error", overwritten)
	}
	switch {
	case overwritten != nil:
		return asItIs // the index leads into what somebody else wrote
	case failure == nil:
		return complete
	case !errors.Is(failure, ErrReplaced) || errors.Is(failure, errWritten) || !s.inode.Held():
		return asItIs
	case s.lookAtStamp() != nil:
		return asItIs // the commits are not for the database that is there now
	}
	if wal := s.path + "-wal"; !s.openLog.Named(wal) {
		s.log.Warn("every commit is moved into the database file; a log that is found in the place of its own is refused at the next start, and can be removed then", "path", wal)
		return savedApart
	}
	return saved
}
