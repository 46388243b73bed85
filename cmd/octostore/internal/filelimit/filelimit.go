// Package filelimit is how many files this process may have open: one for each
// connection, and a few more.
package filelimit
