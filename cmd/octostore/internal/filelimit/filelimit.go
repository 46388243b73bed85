// Package filelimit raises the file descriptor limit of this process: it needs one
// descriptor per connection, and a few more.
package filelimit
