package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/octostore/octostore/cmd/octostore/internal/compiler"
	"github.com/octostore/octostore/cmd/octostore/internal/config"
	"github.com/octostore/octostore/cmd/octostore/internal/preflight"
	"github.com/octostore/octostore/cmd/octostore/internal/session"
	"github.com/octostore/octostore/cmd/octostore/internal/terminal"
	"github.com/octostore/octostore/cmd/octostore/internal/text"
	"github.com/octostore/octostore/core/files"
	"github.com/octostore/octostore/core/journal/record"
	"github.com/octostore/octostore/core/journal/verify"
	"github.com/octostore/octostore/core/lock"
	"github.com/octostore/octostore/core/store/sqlite"
	"github.com/octostore/octostore/hooks"
)

// Values beyond these limits get a warning.
const (
	largeToRead  = 128 << 20 // a database whose server would have to wait too long for its log
	leastSpace   = 64 << 20
	askTime      = 5 * time.Second
	clockBehind  = 5 * time.Second // less is what clocks do
	wholeReserve = 20 << 20
)

// server finds out whether a server runs on the database, and asks for its health.
func (d *doctor) server(ctx context.Context) (running bool) {
	who, running, err := sqlite.Running(string(d.cfg.DB))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.say(fine, "server", "none runs on this database")
		return false
	case err != nil:
		d.say(wrong, "server", "whether one runs is not known: %v", err)
		return false
	case !running:
		d.say(fine, "server", "none runs on this database")
		return false
	}
	target, err := d.askHealth(ctx)
	switch {
	case target == "":
		d.say(fine, "server", "%s runs on this database; it was not asked, as OCTOSTORE_URL does not say where it is", who)
	case err != nil:
		d.say(wrong, "server", "%s runs on this database, but %v", who, err)
	default:
		d.say(fine, "server", "%s runs on this database, and is well at %s", who, session.Redacted(target))
	}
	return true
}

// askHealth asks the server of OCTOSTORE_URL, or else of these settings, for its health, and
// returns its URL: empty if that is not known.
func (d *doctor) askHealth(ctx context.Context) (target string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	if target = os.Getenv("OCTOSTORE_URL"); target != "" {
		c, err := session.ClientFor(target, "") // health needs no token
		if err != nil {
			return target, err
		}
		return target, c.Health(ctx)
	}
	if target, err = d.cfg.LocalURL(string(d.cfg.Addr)); err != nil {
		return "", err
	}
	c, err := session.LocalClient(target, d.cfg.LocalGreeting(), askTime)
	if err != nil {
		return target, err
	}
	return target, c.Health(ctx)
}

// database checks the structure of the file, and that the audit log and the leases are
// complete and agree. If other machines can reach the server and nothing else requires
// tokens, it checks that the database has one.
func (d *doctor) database(ctx context.Context, running bool, exposed string) {
	path := string(d.cfg.DB)
	info, err := os.Stat(path)
	if gone := sqlite.CheckLocation(path); errors.Is(gone, sqlite.ErrMissing) {
		d.say(wrong, "database", "%v", gone)
		return
	}
	if err != nil {
		d.say(wrong, "database", "%v; octostore serve makes it, if OCTOSTORE_DB is right", err)
		return
	}
	if running && info.Size() > largeToRead {
		d.say(
			skip,
			"database",
			"%s has %d MiB and a server runs on it; octostore backup makes a copy, whose name in OCTOSTORE_DB has that looked at",
			path,
			info.Size()>>20,
		)
		d.leases(ctx, path, exposed, info.Size())
		return
	}
	var check *verify.SegmentVerifier
	var replay *verify.Replay
	p := terminal.NewProgress(d.errs, "doctor: database")
	defer p.End()
	in, err := sqlite.Examine(ctx, path, func(in sqlite.Inspection) func(lock.Segment) error {
		p.Set(0, info.Size())
		check, replay = verify.NewSegmentVerifier(in.Cut, in.Key), verify.NewReplay(in.Cut.Seq)
		return func(s lock.Segment) error {
			p.Count(int64(len(s.Bytes)), s.Count)
			if err := verify.CheckSegment(check, replay, s, in.Cut.Seq); err != nil {
				return &brokenJournal{err}
			}
			return nil
		}
	})
	p.End()
	var broken *brokenJournal
	if _, now, _ := sqlite.Running(path); now && !running && err != nil {
		d.say(skip, "database", "a server has just been started on it, so what was read may be of different moments; run this again")
		return
	}
	if err != nil && !errors.As(err, &broken) {
		d.say(wrong, "database", "%v", err)
		return
	}
	d.exposure(exposed, in.Tokens)
	d.say(fine, "database", "%s: every page and index is sound, %s, %d KiB", path, text.Count(int64(len(in.Leases)), "lease"), info.Size()>>10)
	if broken != nil {
		d.say(wrong, "journal", "%v", broken.error)
		return
	}
	d.journal(in, check, replay)
	d.retention(in, check, info.Size())
	d.archive(ctx, in.Key, in.Cut, in.Head.Seq)
}

var errEnough = errors.New("that is enough")

// leases checks the leases of a large database without reading its whole audit log.
func (d *doctor) leases(ctx context.Context, path, exposed string, size int64) {
	in, err := sqlite.Inspect(ctx, path, 0, nil)
	if err != nil {
		d.say(wrong, "database", "%v", err)
		return
	}
	d.exposure(exposed, in.Tokens)
	check := &verify.SegmentVerifier{Oldest: time.Now()}
	_, err = sqlite.Inspect(ctx, path, 0, func(g lock.Segment) error {
		check.Oldest = g.Time
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		d.say(wrong, "database", "%v", err)
		return
	}
	d.retention(in, check, size)
	d.archive(ctx, in.Key, in.Cut, in.Head.Seq)
}

// brokenJournal is the error of a broken audit log in a sound file.
type brokenJournal struct{ error }

func (d *doctor) journal(in sqlite.Inspection, check *verify.SegmentVerifier, replay *verify.Replay) {
	differences, _ := replay.Differences(in.Leases)
	differences = append(differences, replay.Faults()...)
	err := check.End(in.Head)
	switch {
	case err != nil:
		d.say(wrong, "journal", "%v", err)
	case len(differences) > 0:
		d.say(wrong, "journal", "records and leases contradict each other: %s", strings.Join(differences, "; "))
	default:
		d.say(fine, "journal", "the chain of %s is whole and leads to the leases; %s", text.Count(check.Records, "record"), vouched(in, check))
	}
	if behind := time.Until(check.Newest); behind > clockBehind {
		d.say(
			wrong,
			"time",
			"the clock is %s behind the newest record, %s: leases would be counted from a wrong now",
			behind.Round(time.Second),
			check.Newest.UTC().Format(time.RFC3339),
		)
	}
}

func vouched(in sqlite.Inspection, check *verify.SegmentVerifier) string {
	if check.Vouched == 0 {
		return "no checkpoint has signed it yet"
	}
	return fmt.Sprintf("checkpoints by %s vouch for it up to %d of %d", record.FormatKey(in.Key), check.Vouched, in.Head.Seq)
}

// permissions checks the permissions of files and directories that hold secrets.
func (d *doctor) permissions() {
	db, about := string(d.cfg.DB), "of the database, the files beside it and those the settings name"
	if d.cfg.Store == config.Etcd {
		db, about = "", "of the files that the settings name"
	}
	envFile := d.envFile
	if envFile == "" {
		envFile = config.DefaultEnvFile
	}
	envBits := fs.FileMode(0o022)
	if holdsSecret(envFile) {
		envBits = 0o026
	}
	var open []string
	type kept struct {
		path string
		no   fs.FileMode // bits that must not be set
	}
	all := []kept{
		{d.cfg.PolicyCacheDir(), 0o022}, {string(d.cfg.TLSKey), 0o027}, {string(d.cfg.Policies), 0o022}, {envFile, envBits},
		{string(d.cfg.GitHubSecretFile), 0o026}, {string(d.cfg.EtcdKey), 0o026}, {string(d.cfg.EtcdPasswordFile), 0o026},
	}
	if db != "" {
		all = append(all, kept{db, 0o077}, kept{db + "-wal", 0o077}, kept{db + "-shm", 0o077})
		all = append(all, kept{db + "-lock", 0o022}, kept{db + "-ballast", 0o022})
	}
	for _, f := range all {
		info, err := os.Stat(f.path)
		if f.path == "" || err != nil {
			continue // the check that needs the file reports it
		}
		if mode := info.Mode().Perm(); mode&f.no != 0 {
			open = append(open, fmt.Sprintf("%s has mode %04o, want %04o", f.path, mode, mode&^f.no))
		}
	}
	dir := filepath.Dir(db)
	if info, err := os.Stat(dir); err == nil && db != "" && info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		open = append(open, dir+" is writable for every user, so any of them can put another database there")
	}
	if len(open) > 0 {
		d.say(wrong, "permissions", "%s", strings.Join(open, "; "))
		return
	}
	d.say(fine, "permissions", "%s", about)
}

var secretVariable = regexp.MustCompile(`(?m)^\s*(?:export\s+)?OCTOSTORE_\w*(?:TOKEN|SECRET)\s*=`)

// holdsSecret reports whether a .env file holds a secret.
func holdsSecret(envFile string) bool {
	text, err := files.Read(envFile, config.LargestEnvFile)
	return err == nil && secretVariable.Match(text)
}

// space checks the free disk space and the reserve file for a full disk.
func (d *doctor) space() {
	db := string(d.cfg.DB)
	free, known := sqlite.FreeSpace(filepath.Dir(db))
	if !known {
		d.say(skip, "disk", "this system does not say how much space is left")
		return
	}
	reserve := int64(0)
	if info, err := os.Stat(db + "-ballast"); err == nil {
		reserve = info.Size()
	}
	text := fmt.Sprintf("%d MiB free, %d MiB in reserve", free>>20, reserve>>20)
	_, err := os.Stat(db)
	switch {
	case free < leastSpace:
		d.say(wrong, "disk", "%s: too little to go on for long", text)
	case err == nil && reserve < wholeReserve:
		d.say(doubt, "disk", "%s, not %d: a server puts it there when it runs and has space", text, wholeReserve>>20)
	default:
		d.say(fine, "disk", "%s", text)
	}
}

func (d *doctor) clock() {
	if !sqlite.KnowsBootClock() {
		d.say(doubt, "clock", "there is none that counts from the boot, so after a restart every lease has its whole ttl again")
		return
	}
	d.say(fine, "clock", "it is %s; leases go on over restarts by the clock that counts from the boot", time.Now().UTC().Format(time.RFC3339))
}

// policies loads the policies like a server, and closes them again.
func (d *doctor) policies(ctx context.Context) {
	if d.cfg.Policies == "" {
		return
	}
	host, err := hooks.Open(
		ctx,
		hooks.Config{Manifest: string(d.cfg.Policies), Compile: compiler.Compile, Logger: slog.New(slog.DiscardHandler)},
	)
	if err != nil {
		d.say(wrong, "policies", "%v", err)
		return
	}
	defer host.Close()
	var all []string
	for _, p := range host.Policies() {
		all = append(all, fmt.Sprintf("%s (%s, %s)", p.Name, p.Mode, cmp.Or(p.Digest, "not loaded")))
	}
	if len(all) == 0 {
		all = []string{"there are none in " + string(d.cfg.Policies)}
	}
	if host.Engine() != hooks.Compiled {
		d.say(doubt, "policies", "they are interpreted, which takes longer, since machine code cannot be made here: %s", strings.Join(all, ", "))
		return
	}
	d.say(fine, "policies", "%s", strings.Join(all, ", "))
}

// exposure reports an address that other machines can reach without a token.
func (d *doctor) exposure(exposed string, tokens int) {
	if exposed != "" && tokens == 0 {
		d.say(wrong, "exposure", "%v", &preflight.ExposedError{Addr: exposed})
	}
}
