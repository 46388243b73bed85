package api

import "time"

// TerraformLock is the lock info of Terraform and OpenTofu: the body of a LOCK and an UNLOCK, and
// the answer to a LOCK of a lock that is held (423). The names of the members are Terraform's.
type TerraformLock struct {
	// ID names the attempt of Terraform to get the lock: it is the idempotency key of the
	// acquire, and releases the lock. It is no secret. Of a lease that Terraform does not hold
	// it is "octostore-" and the fencing token; "unknown" if the lease may not be read.
	ID        string
	Operation string
	Info      string
	Who       string // the holder of the lease
	Version   string // of Terraform
	Created   time.Time
	Path      string
}
