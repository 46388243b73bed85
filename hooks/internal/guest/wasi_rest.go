package guest

// Error numbers of WASI for missing capabilities.
const (
	wasiNoFile     = 44 // ENOENT
	wasiNoSystem   = 52 // ENOSYS
	wasiNotCapable = 76 // ENOTCAPABLE
)

// wasiRest is the rest of wasi_snapshot_preview1. Guests do not need it, but language libraries link
// it: Go's os, net and time.LoadLocation, for example. Such a module loads, and each of these
// functions fails as on a system without files and sockets. None reads or writes the guest's memory.
var wasiRest = []HostFunction{
	{"fd_advise", "i32 i64 i64 i32", "i32", badFile},
	{"fd_allocate", "i32 i64 i64", "i32", badFile},
	{"fd_datasync", "i32", "i32", badFile},
	{"fd_fdstat_set_rights", "i32 i64 i64", "i32", badFile},
	{"fd_filestat_get", "i32 i32", "i32", badFile},
	{"fd_filestat_set_size", "i32 i64", "i32", badFile},
	{"fd_filestat_set_times", "i32 i64 i64 i32", "i32", badFile},
	{"fd_pread", "i32 i32 i32 i64 i32", "i32", badFile},
	{"fd_pwrite", "i32 i32 i32 i64 i32", "i32", badFile},
	{"fd_read", "i32 i32 i32 i32", "i32", badFile},
	{"fd_readdir", "i32 i32 i32 i64 i32", "i32", badFile},
	{"fd_renumber", "i32 i32", "i32", badFile},
	{"fd_sync", "i32", "i32", badFile},
	{"fd_tell", "i32 i32", "i32", badFile},
	{"path_create_directory", "i32 i32 i32", "i32", notCapable},
	{"path_filestat_get", "i32 i32 i32 i32 i32", "i32", noFile},
	{"path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32", "i32", notCapable},
	{"path_link", "i32 i32 i32 i32 i32 i32 i32", "i32", notCapable},
	{"path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32", "i32", noFile},
	{"path_readlink", "i32 i32 i32 i32 i32 i32", "i32", noFile},
	{"path_remove_directory", "i32 i32 i32", "i32", notCapable},
	{"path_rename", "i32 i32 i32 i32 i32 i32", "i32", notCapable},
	{"path_symlink", "i32 i32 i32 i32 i32", "i32", notCapable},
	{"path_unlink_file", "i32 i32 i32", "i32", notCapable},
	{"proc_raise", "i32", "i32", noSystem},
	{"sock_accept", "i32 i32 i32", "i32", badFile},
	{"sock_recv", "i32 i32 i32 i32 i32 i32", "i32", badFile},
	{"sock_send", "i32 i32 i32 i32 i32", "i32", badFile},
	{"sock_shutdown", "i32 i32", "i32", badFile},
}

func noFile(_ *caller, s []uint64)     { s[0] = wasiNoFile }
func noSystem(_ *caller, s []uint64)   { s[0] = wasiNoSystem }
func notCapable(_ *caller, s []uint64) { s[0] = wasiNotCapable }
