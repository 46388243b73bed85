package memory

import "syscall"

// populateForWriting is an advice of Linux 5.14 and later.
const populateForWriting = 23

// populate makes the system provide the pages now. An older kernel provides them when they are
// touched.
func populate(pages []byte) { _ = syscall.Madvise(pages, populateForWriting) }
