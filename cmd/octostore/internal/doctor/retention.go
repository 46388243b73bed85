package doctor

import (
	"fmt"
	"time"

	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
)

// retention warns of a live lease that keeps the audit log above its limits: records
// younger than twice the longest ttl are not pruned.
func (d *doctor) retention(in sqlite.Inspection, check *verify.SegmentVerifier, size int64) {
	var longest lock.Lease
	for _, l := range in.Leases {
		if l.Lease.TTL > longest.TTL {
			longest = l.Lease
		}
	}
	kept := 2 * longest.TTL
	limit := ""
	switch {
	case kept > d.cfg.AuditRetention:
		limit = fmt.Sprintf("OCTOSTORE_AUDIT_RETENTION, %s", d.cfg.AuditRetention)
	case size > int64(d.cfg.AuditMaxSize) && time.Since(check.Oldest) < kept:
		limit = fmt.Sprintf("OCTOSTORE_AUDIT_MAX_SIZE, %d MiB", d.cfg.AuditMaxSize>>20)
	default:
		return
	}
	d.say(
		doubt,
		"retention",
		"the lease of %q (account %s, holder %q) has a ttl of %s, so the records of the newest %s are kept, whatever %s, says; they can be pruned once it has ended",
		longest.Name,
		longest.Account,
		longest.Holder,
		longest.TTL,
		kept,
		limit,
	)
}
