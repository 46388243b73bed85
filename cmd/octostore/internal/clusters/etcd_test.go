package clusters_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// What the tests do to etcd goes by its gateway from gRPC to JSON, past the proxies of the nodes.

// number is a whole number, which the gateway writes as a string.
type number int64

func (n *number) UnmarshalJSON(text []byte) error {
	v, err := strconv.ParseInt(string(bytes.Trim(text, `"`)), 10, 64)
	*n = number(v)
	return err
}

// keyValue is a key as etcd has it.
type keyValue struct {
	Key            []byte `json:"key"`
	Value          []byte `json:"value"`
	CreateRevision number `json:"create_revision"`
	Lease          number `json:"lease"`
}

var gateway = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// call sends a request to one node of etcd.
func call(endpoint, path string, request, into any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	resp, err := gateway.Post(endpoint+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var said struct{ Message string }
		_ = json.NewDecoder(resp.Body).Decode(&said) // the status is enough
		return fmt.Errorf("%s: %s: %s", path, resp.Status, said.Message)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// ask sends a request to the first node of etcd that has an answer.
func (c *cluster) ask(path string, request, into any) (err error) {
	for _, endpoint := range c.etcd.Endpoints() {
		if err = call(endpoint, path, request, into); err == nil {
			return nil
		}
	}
	return err
}

// get returns one key.
func (c *cluster) get(key string) ([]keyValue, error) {
	var found struct{ Kvs []keyValue }
	err := c.ask("/v3/kv/range", map[string]any{"key": []byte(key)}, &found)
	return found.Kvs, err
}

func (c *cluster) put(key string, value []byte) error {
	return c.ask("/v3/kv/put", map[string]any{"key": []byte(key), "value": value}, nil)
}

func (c *cluster) remove(key, end string) error {
	request := map[string]any{"key": []byte(key)}
	if end != "" {
		request["range_end"] = []byte(end)
	}
	return c.ask("/v3/kv/deleterange", request, nil)
}

func (c *cluster) revoke(lease number) error {
	return c.ask("/v3/lease/revoke", map[string]any{"ID": strconv.FormatInt(int64(lease), 10)}, nil)
}

// leader returns which node of etcd leads, or -1.
func (c *cluster) leader() int {
	for i, endpoint := range c.etcd.Endpoints() {
		var status struct {
			Header struct {
				MemberID string `json:"member_id"`
			}
			Leader string
		}
		if call(endpoint, "/v3/maintenance/status", struct{}{}, &status) == nil && status.Leader == status.Header.MemberID {
			return i
		}
	}
	return -1
}

// clean makes room in an etcd that is full, as a person would: it compacts, defragments and
// takes the alarm back.
func (c *cluster) clean() error {
	var status struct {
		Header struct{ Revision string }
	}
	if err := c.ask("/v3/maintenance/status", struct{}{}, &status); err != nil {
		return err
	}
	if err := c.ask("/v3/kv/compaction", map[string]any{"revision": status.Header.Revision, "physical": true}, nil); err != nil {
		return err
	}
	for _, endpoint := range c.etcd.Endpoints() {
		if err := call(endpoint, "/v3/maintenance/defragment", struct{}{}, nil); err != nil {
			return err
		}
	}
	var alarms struct {
		Alarms []struct {
			MemberID string `json:"memberID"`
			Alarm    string `json:"alarm"`
		}
	}
	if err := c.ask("/v3/maintenance/alarm", map[string]any{"action": "GET"}, &alarms); err != nil {
		return err
	}
	for _, a := range alarms.Alarms {
		request := map[string]any{"action": "DEACTIVATE", "memberID": a.MemberID, "alarm": a.Alarm}
		if err := c.ask("/v3/maintenance/alarm", request, nil); err != nil {
			return err
		}
	}
	return nil
}
