package rules_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// stories are what has gone wrong in lock servers with long polls, and the tests that
// show that it does not go wrong here. Tests of files that are not Go are named by
// their file.
var stories = []struct {
	story string
	tests []string
}{
	{
		// AtlasDB: an HTTP client repeated blocked requests by itself; the ghosts stayed
		// queued, won the lock, and kept it for a lease each.
		"a repeated request waits twice",
		[]string{"TestWaitRepeatedWithItsKeyIsOneWait", "TestAbandonedWaitsLeaveNoGhosts", "core/lock/testdata/scenario/keys.txt"},
	},
	{
		// etcd: who asked again under the lease he had lost his place in the queue.
		"asking again loses the place",
		[]string{"TestQueueKeepsThePlaceOfARepeatedRequest", "core/lock/testdata/scenario/keys.txt"},
	},
	{
		// etcd: after the wait the waiter's own lease was not looked at again.
		"a waiter is told it holds a lock with a lease that is over",
		[]string{"TestLeaseBeginsAtTheGrant", "TestAttemptWhoseLeaseIsOverIsToldSo", "TestGrantThatHasExpiredIsNotDelivered", "TestGrantHeldUpByAPauseIsTooLateOrGood"},
	},
	{
		// dflockd: a client that was gone stayed in the queue and counted against its cap.
		"those who left fill the queue",
		[]string{"TestQueueHasRoomAfterAHangUp", "TestCrowdsComeAndGo", "core/lock/testdata/scenario/limits.txt"},
	},
	{
		// lockd: the loop that waited did not look at the request's context, and locks went
		// to clients that had hung up.
		"locks go to clients that have hung up",
		[]string{"TestQueuePassesOverAClientThatHungUp", "TestWaitOfAClientThatLeftHasNoAnswer", "TestHangUpIsNoticed", "TestHalfClosedConnectionsLeaveNothing", "TestAbandonedWaitsLeaveNoGhosts"},
	},
	{
		// net/http: reads one byte ahead to notice that a client leaves, and no more.
		"locks go to clients that have sent more and hung up",
		[]string{"TestHangUpBehindMoreBytes", "TestHangUpGetsNoGrant", "TestHangUpBehindAFlood", "TestPipelinedRequestsAreAnswered"},
	},
	{
		"connections that say nothing keep a holder from renewing",
		[]string{"TestConnectionsThatArePendingMakeRoom", "TestConnectionsOfClientsStay", "TestConnectionsToTheAdminListenerAreFew"},
	},
	{
		"an orchestrator takes a server with a full disk off its holders",
		[]string{"TestErrorsOfTheStore", "TestFullDiskLetsHoldersGoOn"},
	},
	{
		// Redisson's fair lock: a dead head of the queue held all waiters up for seconds, and a hand-over
		// waited for a notice that could get lost.
		"the first waiter is dead and the others are not served",
		[]string{"TestQueueGoesOnBehindADeadHead", "TestExpiryWakesTheNextWaiter"},
	},
	{
		// Redisson's fair lock: those who waited were put out of the queue by others'
		// timeouts.
		"those who wait are put out of the queue",
		[]string{"TestQueueKeepsWaitersWhileOthersLeave"},
	},
	{
		// Redisson: a negative lease time waited for ever. ShedLock, kured: a lease of 0,
		// recorded once, never ended.
		"a lease without an end",
		[]string{"TestLeaseAlwaysHasAnEnd", "TestParametersThatAreRefused"},
	},
	{
		// Nacos: a flag of the client let it pass those who waited.
		"a client passes those who wait",
		[]string{"TestQueueIsNotOvertakenByTries", "TestQueueOfAThousandIsGrantedInOrder"},
	},
	{
		// hiqlite: a waiter that died as it was promoted left its ticket in front for ever.
		"a waiter dies as its turn comes",
		[]string{"TestWaiterThatDiesAtTheFrontCostsOneLeaseAtMost", "TestGrantIsUndoneIfTheConnectionFails", "TestGrantIsUndoneIfTheClientLeaves"},
	},
	{
		// A recipe with curl -f took a redirect for a grant, and deployed without a lock.
		"a lock that is no lock",
		[]string{"TestWithLockTakesNothingElseForAGrant", "TestWithLockStartsNothingOnALeaseItCannotRenew"},
	},
	{
		// HAProxy's defaults: a cancelled waiter won, and a proxy alone received the grant.
		"a grant that only a proxy received",
		[]string{"TestProxiesPassHangUpsOnAsThePageSays", "TestWithLockLeavesNoGhostBehindAProxy", "TestWithLockWorksBehindRealProxies"},
	},
	{
		// A job that was cancelled left its curl behind, which took the lock for ten minutes.
		"a cancelled job takes the lock",
		[]string{"TestWithLockLeavesTheQueueAtASignal", "TestWithLockLeavesNothingWheneverItIsStopped", "TestWithLockKilledWhileItWaitsCostsTheFirstLeaseAtMost"},
	},
	{
		// consul lock: the child of a holder that had lost its lock ran on for a minute
		// beside the next one; etcdctl lock did not stop its child at all. A server cannot stop it; it can refuse what is stale.
		"an old holder goes on",
		[]string{"TestOldHolderIsRefused", "TestLeaseThatLapsedDuringAPauseIsOver", "TestLeaseIDIsProofForOneLeaseOfOneName"},
	},
	{
		// Here: a policy judged one lease, the lock changed hands, and the break ended the
		// next lease, which the policy protects.
		"what was checked is not what is done",
		[]string{"TestBreakEndsOnlyTheLeaseThatWasJudged", "TestBreakOfALockThatLooksFreeEndsNothing"},
	},
	{
		// Here: each remembered attempt kept the first line of its request in memory.
		"remembering costs what strangers send",
		[]string{"TestEndedAttemptsCostLittle", "TestEndedAttemptsHaveABound"},
	},
	{
		// HAProxy as Debian configures it: the proxy reads the grant of a client that has left,
		// and the lock is held by no client for a whole ttl.
		"a grant that only a proxy received keeps the lock",
		[]string{"TestUnconfirmedLeaseIsSoonOver", "TestUnconfirmedLeaseOverRestarts", "core/lock/testdata/scenario/confirm.txt"},
	},
	{
		// An idempotent retry whose second answer was lost before the loss of the first was noticed.
		"a lease whose answers were all lost stays",
		[]string{"TestUndoOfALeaseWithoutAnAnswer", "TestUndoOfADeliveredLease", "core/lock/testdata/scenario/undo.txt"},
	},
	{
		// Databases in containers: the one file was mounted, its write-ahead log was not, and
		// every new container forgot what was in the log.
		"a new container forgets leases",
		[]string{"TestMountRefusesAFileMountedAlone", "TestInodeLockRefusesASecondServer"},
	},
	{
		// Cleaners of temporary files: the server goes on with files that have no name any
		// more, and its next start knows nothing.
		"the files of a running server are deleted",
		[]string{"TestVanishedFilesEndTheServer", "TestVanishedLockLetsNoSecondServerIn", "TestWatchNoticesWhatBecameOfTheFiles"},
	},
	{
		// SQLite: a backup is put in the place of the database, and the write-ahead log that
		// was left undoes it.
		"a restored backup is undone",
		[]string{"TestStampFindsALogOfAnotherDatabase", "cmd/octostore/internal/scripts/testdata/script/restore.txtar"},
	},
}

// The table above would be worth little if its tests were renamed and lost.
func TestStoriesHaveTheirTests(t *testing.T) {
	sources := testSources(t)
	for _, s := range stories {
		for _, name := range s.tests {
			if strings.HasPrefix(name, "Test") {
				if !bytes.Contains(sources, []byte("\nfunc "+name+"(t *testing.T)")) {
					t.Errorf("%s: there is no %s", s.story, name)
				}
			} else if _, err := os.Stat(octotest.Path(name)); err != nil {
				t.Errorf("%s: %v", s.story, err)
			}
		}
	}
}

// testSources returns all tests there are.
func testSources(t *testing.T) []byte {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(octotest.Root(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		all.Write(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.Bytes()
}
