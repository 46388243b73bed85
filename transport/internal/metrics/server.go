package metrics

import (
	"time"

	"github.com/octostore/octostore/core/journal"
	"github.com/octostore/octostore/transport/api"
	"github.com/prometheus/client_golang/prometheus"
)

// serverCollector collects at every scrape what is known of the audit log and the machine.
type serverCollector struct {
	journal *journal.Journal
	server  func() api.Server
}

var (
	descHead       = describe("octostore_journal_head", "Sequence number of the newest record of the audit log. It grows, and jumps at a start.")
	descHeadTime   = describe("octostore_journal_head_timestamp_seconds", "When the newest record of the audit log was made, in seconds since 1970.")
	descCheckpoint = describe("octostore_journal_checkpoint_timestamp_seconds", "When the newest checkpoint since the start was signed, in seconds since 1970; 0 before the first.")
	descOldest     = describe("octostore_journal_oldest_timestamp_seconds", "When the oldest record that can be read was made, in the archive or in the database, in seconds since 1970; 0: not known yet.")
	descArchived   = describe("octostore_archive_newest_timestamp_seconds", "When the newest record in the archive of the audit log was made, in seconds since 1970; 0 without one.")
	descArchive    = describe("octostore_archive_bytes", "Size of the files of the archive of the audit log; 0 without one.")
	descUnarchived = describe("octostore_archive_failing", "1 while the audit log cannot be archived, so that nothing of it is pruned, else 0.")
	descDisk       = describe("octostore_disk_free_bytes", "Free space of the file system of the database; absent if it is not known.")
	descReserve    = describe("octostore_reserve_bytes", "Size of the reserve that lets leases end on a full disk.")
	descLimit      = prometheus.NewDesc("octostore_configured_limit", "Limits in effect, by the name of their setting; 0 is no limit.", []string{"limit"}, nil)
)

// Describe implements [prometheus.Collector].
func (serverCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descHead, descHeadTime, descCheckpoint, descOldest, descArchived, descArchive, descUnarchived, descDisk, descReserve, descLimit} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c serverCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	head := c.journal.Newest()
	gauge(descHead, float64(head.Seq))
	gauge(descHeadTime, unix(head.Time))
	gauge(descCheckpoint, unix(c.journal.Checkpointed().Time))
	gauge(descOldest, unix(c.journal.Begins().Time))
	var archived journal.ArchiveState
	if a := c.journal.Archive(); a != nil {
		archived = a.State()
	}
	gauge(descArchived, unix(archived.Newest.Time))
	gauge(descArchive, float64(archived.Bytes))
	failing := 0.0
	if archived.Err != nil {
		failing = 1
	}
	gauge(descUnarchived, failing)
	s := c.server()
	if s.Database.DiskFree != nil {
		gauge(descDisk, float64(*s.Database.DiskFree))
	}
	if s.Database.Path != "" {
		gauge(descReserve, float64(s.Database.ReserveBytes))
	}
	for _, l := range s.Limits {
		gauge(descLimit, float64(l.Value), l.Name)
	}
}

// unix returns a time as Prometheus has it, 0 for the zero time.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
