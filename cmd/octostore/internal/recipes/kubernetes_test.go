//go:build unix

package recipes_test

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// container is what a test reads of a CronJob of Kubernetes.
type container struct {
	Spec struct {
		JobTemplate struct {
			Spec struct {
				ActiveDeadlineSeconds int
				Template              struct {
					Spec struct {
						TerminationGracePeriodSeconds int
						SecurityContext               struct{ RunAsUser uint32 }
						Containers                    []struct {
							Command []string
							Env     []struct{ Name, Value string }
						}
					}
				}
			}
		}
	}
}

// startKubernetes runs the command of the container in an environment as small as that of
// a container, in its root, as a user without a name, and where it can be done as the first
// process.
func startKubernetes(t *testing.T, s *site, change func(string) string) *run {
	t.Helper()
	text := change(s.recipe(t, "kubernetes/cronjob.yaml"))
	var c container
	decode(t, text, &c)
	job := c.Spec.JobTemplate.Spec
	if deadline := time.Duration(job.ActiveDeadlineSeconds) * time.Second; deadline < 2*waitOf(t, text) {
		t.Errorf("the job ends after %s, and waits for %s of them", deadline, waitOf(t, text))
	}
	pod := job.Template.Spec
	if pod.TerminationGracePeriodSeconds < 20 {
		t.Errorf("the pod gets %d s to end", pod.TerminationGracePeriodSeconds)
	}
	env := []string{"PATH=" + s.bin + ":/usr/local/bin:/usr/bin:/bin", "HOSTNAME=backup-28812345-x7k2p", "KUBERNETES_SERVICE_HOST=10.0.0.1", "TMPDIR=/nonexistent"}
	for _, v := range pod.Containers[0].Env {
		env = append(env, v.Name+"="+v.Value)
	}
	cmd := pod.Containers[0].Command
	if cmd[0] != "octostore" {
		t.Fatalf("the command is %q", cmd)
	}
	r := &exec.Cmd{Path: filepath.Join(s.bin, cmd[0]), Args: cmd, Env: env}
	asContainer(t, s, r, pod.SecurityContext.RunAsUser)
	return s.startCommand(t, r)
}

func TestRecipeForKubernetesRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	lock := startKubernetes(t, s, same).takesItsTurn(t, "backup/db", "backup")
	if lock.Lease.Holder == "" {
		t.Error("the lease has no holder")
	}
}

func TestRecipeForKubernetesFailsIfTheLockIsHeld(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.hold(t, "backup/db")
	startKubernetes(t, s, impatient).ends(t, 75)
	s.expectNotRun(t, "backup")
}
