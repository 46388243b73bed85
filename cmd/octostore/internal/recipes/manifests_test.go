//go:build unix

package recipes_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/octostore/octostore/cmd/octostore/internal/octotest"
)

// kustomize returns the objects of a folder in deploy/kubernetes.
func kustomize(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("kubectl", "kustomize", octotest.Path("deploy/kubernetes/"+dir)).Output()
	if err != nil {
		t.Fatalf("kubectl kustomize %s: %v", dir, err)
	}
	return string(out)
}

// Each object passes the schemas of Kubernetes, and a mistake in it does not; so does the file for
// Compose.
func TestManifestsPassTheirSchemas(t *testing.T) {
	octotest.NeedTools(t, "kubectl")
	bin := python(t)
	for _, c := range []struct {
		text, right, wrong string
		check              []string
	}{
		{kustomize(t, "base"), "terminationGracePeriodSeconds:", "terminationGracePeriod:", []string{"kubernetes-validate", "--strict", "--no-warn"}},
		{kustomize(t, "example"), "fsGroup: 65532", "fsGroup: octostore", []string{"kubernetes-validate", "--strict", "--no-warn"}},
		{kustomize(t, "cluster"), "topologyKey:", "topologyKeys:", []string{"kubernetes-validate", "--strict", "--no-warn"}},
		{kustomize(t, "cluster-example"), "fieldPath: metadata.name", "fieldPaths: metadata.name", []string{"kubernetes-validate", "--strict", "--no-warn"}},
		{kustomize(t, "base"), "maxUnavailable:", "maxUnavailables:", []string{"kubernetes-validate", "--strict", "--no-warn"}},
		{kustomize(t, "base"), "podSelector:", "podSelectors:", []string{"kubernetes-validate", "--strict", "--no-warn"}},
		{readFile(t, "deploy/container/compose.yaml"), "cap_drop:", "caps_drop:", []string{"check-jsonschema", "--builtin-schema", "vendor.compose-spec"}},
	} {
		t.Run(c.check[0]+" "+c.wrong, func(t *testing.T) {
			check := func(text string) ([]byte, error) {
				path := filepath.Join(t.TempDir(), "objects.yaml")
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return exec.Command(filepath.Join(bin, c.check[0]), append(c.check[1:], path)...).CombinedOutput()
			}
			if out, err := check(c.text); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			wrong := strings.Replace(c.text, c.right, c.wrong, 1)
			if out, err := check(wrong); err == nil || wrong == c.text {
				t.Errorf("%s for %s passes: %s", c.wrong, c.right, out)
			}
		})
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(octotest.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What a server needs of Kubernetes: a tokens file that not everybody can read, one pod for each
// database, three for a cluster, and as much time to stop as it takes. Selectors and labels agree.
func TestManifestsFitTheServer(t *testing.T) {
	octotest.NeedTools(t, "kubectl")
	t.Run("base", func(t *testing.T) { checkFit(t, "base", 1, 1) })
	t.Run("cluster", func(t *testing.T) { checkFit(t, "cluster", 3, 3) })
}

func checkFit(t *testing.T, folder string, replicas, volumes int) {
	for _, doc := range strings.Split(kustomize(t, folder), "\n---\n") {
		var o struct {
			Kind string
			Spec struct {
				Replicas    int
				Selector    any
				PodSelector any
				Template    struct {
					Metadata struct{ Labels map[string]string }
					Spec     struct {
						TerminationGracePeriodSeconds int
						SecurityContext               struct {
							RunAsUser, FsGroup  int
							FsGroupChangePolicy string
						}
						Volumes []struct {
							Secret struct {
								SecretName  string
								DefaultMode int
							}
						}
					}
				}
			}
		}
		decode(t, doc, &o)
		const label = "app.kubernetes.io/name: octostore"
		if !strings.Contains(doc, label) {
			t.Errorf("%s selects something else", o.Kind)
		}
		if o.Kind != "StatefulSet" {
			continue
		}
		pod := o.Spec.Template.Spec
		if o.Spec.Replicas != replicas || o.Spec.Template.Metadata.Labels["app.kubernetes.io/name"] != "octostore" {
			t.Errorf("%d pods with the labels %v", o.Spec.Replicas, o.Spec.Template.Metadata.Labels)
		}
		if pod.TerminationGracePeriodSeconds < 10 {
			t.Errorf("the pod gets %d s to stop", pod.TerminationGracePeriodSeconds)
		}
		if len(pod.Volumes) != volumes || pod.SecurityContext.FsGroup != pod.SecurityContext.RunAsUser {
			t.Errorf("the server does not accept the tokens: %+v", pod)
		}
		for _, v := range pod.Volumes {
			if v.Secret.SecretName != "" && v.Secret.DefaultMode != 0o440 {
				t.Errorf("the server does not accept the secret %s", v.Secret.SecretName)
			}
		}
		if pod.SecurityContext.FsGroupChangePolicy != "OnRootMismatch" {
			t.Error("the server does not use compiled policies after a restart of the pod")
		}
	}
}

// Kubernetes puts the value of a variable into those behind it only, and an overlay must not change
// their order.
func TestManifestsOfAClusterNameItsNodes(t *testing.T) {
	octotest.NeedTools(t, "kubectl")
	for _, folder := range []string{"cluster", "cluster-example"} {
		text := kustomize(t, folder)
		node, namespace := strings.Index(text, "name: OCTOSTORE_NODE\n"), strings.Index(text, "name: NAMESPACE\n")
		url := strings.Index(text, "value: http://$(OCTOSTORE_NODE).octostore-nodes.$(NAMESPACE).svc:3000\n")
		if node < 0 || namespace < 0 || url < node || url < namespace {
			t.Errorf("%s: the name is at %d, the namespace at %d, the URL at %d", folder, node, namespace, url)
		}
		if !strings.Contains(text, "serviceName: octostore-nodes\n") || !strings.Contains(text, "publishNotReadyAddresses: true\n") {
			t.Errorf("%s: the nodes have no names", folder)
		}
	}
}
