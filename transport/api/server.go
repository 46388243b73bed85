package api

import "time"

// Server is the answer of /v1/server: the state of the server, for administrators. Members
// about parts that it does not have are absent or empty.
type Server struct {
	Version   string    `json:"version"`
	Go        string    `json:"go"` // version of the Go toolchain
	StartedAt time.Time `json:"started_at"`
	UptimeMS  int64     `json:"uptime_ms"`
	ProcessID int       `json:"process_id"`
	// Status is what /readyz says: the server is draining, failing, or OK and perhaps degraded.
	Status       Health        `json:"status"`
	DrainedAt    *time.Time    `json:"drained_at,omitempty"` // since when an administrator has it refuse acquires
	Addresses    []string      `json:"addresses"`            // URLs of its listeners, the main one first
	Database     Database      `json:"database"`
	Commits      Commits       `json:"commits"`
	Connections  []Connections `json:"connections"`
	Limits       []Limit       `json:"limits"`
	Waiters      int           `json:"waiters"`
	Held         int           `json:"held"`
	Certificate  *Certificate  `json:"certificate"`              // nil: no TLS
	LastBackupAt *time.Time    `json:"last_backup_at,omitempty"` // absent: none is known
	Journal      JournalState  `json:"journal"`
	Cluster      *Cluster      `json:"cluster,omitempty"` // absent: no other server shares its lock table, or the nodes are not known now
	// Settings are those in effect, in the order of the documentation.
	Settings []Setting `json:"settings"`
}

// Database is the database of a server on its disk.
type Database struct {
	Path         string `json:"path"`
	Bytes        int64  `json:"bytes"`
	WALBytes     int64  `json:"wal_bytes"`
	ReserveBytes int64  `json:"reserve_bytes"`             // kept so that leases can end on a full disk
	DiskFree     *int64 `json:"disk_free_bytes,omitempty"` // absent: not known on this system
}

// Commits are how long changes take to become durable.
type Commits struct {
	Total uint64 `json:"total"` // since the start of the server
	// P50MS and P99MS are quantiles of the commits of the last WindowMS: about a minute while
	// clients ask at least that often, else the time since a client asked, or since the start.
	// They are upper bounds with fractions, and 0 if there was no commit.
	P50MS    float64 `json:"p50_ms"`
	P99MS    float64 `json:"p99_ms"`
	WindowMS int64   `json:"window_ms"`
}

// Connections are the connections to a listener.
type Connections struct {
	Listener string `json:"listener"` // main or admin
	Open     int    `json:"open"`
	Max      int    `json:"max"` // 0: no limit
}

// Limit is a limit in effect, and how much of it is in use where that is one number.
type Limit struct {
	Name  string `json:"name"`  // of its setting, without OCTOSTORE_ and in lower case
	Value int64  `json:"value"` // 0: no limit
	Used  *int64 `json:"used,omitempty"`
}

// Certificate is the TLS certificate in use.
type Certificate struct {
	ExpiresAt time.Time `json:"expires_at"`
	Subject   string    `json:"subject"` // its names
}

// JournalState is the extent of the audit log.
type JournalState struct {
	// Oldest and Head are the seq of the oldest and the newest record that are left; 0: none.
	Oldest   uint64     `json:"oldest"`
	OldestAt *time.Time `json:"oldest_at,omitempty"`
	Head     uint64     `json:"head"`
	HeadAt   *time.Time `json:"head_at,omitempty"`
	// Checkpoint is the newest signed record; nil if there is none among the newest records.
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
	Level      string      `json:"level"` // what is recorded: changes, decisions or all
	// Archive is where records go before they are pruned; nil: there is none.
	Archive *Archive `json:"archive,omitempty"`
}

// Archive is the archive of the audit log, as last seen.
type Archive struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Newest is the seq of the newest record in it; 0: none.
	Newest   uint64     `json:"newest"`
	NewestAt *time.Time `json:"newest_at,omitempty"`
	// FailingSince is when the records could not be archived any more, so that nothing is
	// pruned; nil: they can. Error says why, to those who may read all of the audit log.
	FailingSince *time.Time `json:"failing_since,omitempty"`
	Error        string     `json:"error,omitempty"`
}

// Checkpoint is a signed record of the audit log. Its signature covers everything before it.
type Checkpoint struct {
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"`
	Key string    `json:"key"` // public, as octostore audit key prints it
}

// AuditState is the answer of /v1/audit/state.
type AuditState struct {
	JournalState
	// PublicKey verifies checkpoints and exports. A server that was replaced by another
	// database has another one.
	PublicKey   string `json:"public_key"`
	RetentionMS int64  `json:"retention_ms"` // older records are pruned; 0: no limit
	MaxBytes    int64  `json:"max_bytes"`    // of the database, above which the oldest records are pruned; 0: no limit
	// Observers are the policies that observe the log, with their progress.
	Observers []AuditObserver `json:"observers"`
}

// AuditObserver is a policy that observes the audit log.
type AuditObserver struct {
	Policy string `json:"policy"`
	Observer
}

// Setting is a setting in effect.
type Setting struct {
	Name string `json:"name"`
	// Value is as it was written; of a secret it is "(set)", or the default if it is not set.
	Value  string `json:"value"`
	Source string `json:"source"` // default, environment, or the path of a file
	Secret bool   `json:"secret"`
}

// Drain is the answer of /v1/drain: the server refuses acquires until it is restarted.
type Drain struct {
	Status HealthStatus `json:"status"` // draining
	// Since is when it began to; absent if it began to stop.
	Since   *time.Time `json:"since,omitempty"`
	Waiters int        `json:"waiters"` // how many requests were waiting and have been answered
	Already bool       `json:"already"` // it was draining before: nothing has changed
}
