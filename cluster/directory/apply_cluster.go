package directory

import (
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/kv"
)

func initialise(s step, m *directorypb.InitialiseCluster) (*directorypb.Result, error) {
	var old directorypb.Cluster
	found, err := load(s, clusterKey(), &old)
	if err != nil {
		return nil, err
	}
	if found {
		return nil, refuse(ErrExists, "the cluster is initialised already, as %s", old.Id)
	}
	record := m.Cluster
	if record == nil {
		return nil, refuse(ErrInvalid, "a cluster without a record")
	}
	if err := checkName("cluster id", record.Id); err != nil {
		return nil, err
	}
	if record.Partitions < 1 || record.Partitions > cluster.MaxPartitions {
		return nil, refuse(ErrInvalid, "%d partitions; 1 to %d are allowed", record.Partitions, cluster.MaxPartitions)
	}
	for _, setting := range m.Settings {
		if err := checkName("setting", setting.Name); err != nil {
			return nil, err
		}
	}
	record.Created = s.now
	for _, setting := range m.Settings {
		if err := s.store(settingKey(setting.Name), setting); err != nil {
			return nil, err
		}
	}
	return ok(s.store(clusterKey(), record))
}

// putSetting stores what the proposer checked. It does not check the value again: a later version may
// know more settings and values, and replicas of both versions must decide the same.
func putSetting(s step, m *directorypb.PutSetting) (*directorypb.Result, error) {
	if err := checkName("setting", m.Name); err != nil {
		return nil, err
	}
	if m.Value == nil {
		return ok(s.Delete(settingKey(m.Name)))
	}
	return ok(s.store(settingKey(m.Name), &directorypb.Setting{Name: m.Name, Value: *m.Value}))
}

// needCluster reads the cluster record; a cluster without one is refused.
func needCluster(r kv.Reader) (*directorypb.Cluster, error) {
	var record directorypb.Cluster
	found, err := load(r, clusterKey(), &record)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, refuse(ErrNotInitialised, "the cluster is not initialised yet")
	}
	return &record, nil
}

func putPartitionMap(s step, m *directorypb.PutPartitionMap) (*directorypb.Result, error) {
	record, err := needCluster(s)
	if err != nil {
		return nil, err
	}
	var current directorypb.PartitionMap
	if _, err := load(s, partitionMapKey(), &current); err != nil {
		return nil, err
	}
	if current.Version != m.ExpectedVersion {
		return nil, refuse(ErrConflict, "the partition map is at version %d, the change was planned on %d", current.Version, m.ExpectedVersion)
	}
	for i, group := range m.Groups {
		if group.Group > record.Partitions || i > 0 && group.Group <= m.Groups[i-1].Group {
			return nil, refuse(ErrInvalid, "group %d out of order or above %d partitions", group.Group, record.Partitions)
		}
		if err := checkReplicas(s, group); err != nil {
			return nil, err
		}
	}
	current.Groups = mergeReplicas(current.Groups, m.Groups)
	current.Version++
	if err := s.store(partitionMapKey(), &current); err != nil {
		return nil, err
	}
	return &directorypb.Result{Version: current.Version}, nil
}

func checkReplicas(r kv.Reader, group *directorypb.Replicas) error {
	if len(group.Nodes) == 0 {
		return refuse(ErrInvalid, "group %d without a node", group.Group)
	}
	seen := make(map[string]bool, len(group.Nodes))
	for _, id := range group.Nodes {
		var node directorypb.Node
		found, err := load(r, nodeKey(cluster.NodeID(id)), &node)
		if err != nil {
			return fmt.Errorf("look for node %s: %w", id, err)
		}
		if !found || node.State == directorypb.NodeState_NODE_STATE_REMOVED {
			return refuse(ErrNotFound, "group %d is to be on node %q, which is not in the cluster", group.Group, id)
		}
		if seen[id] {
			return refuse(ErrInvalid, "group %d is to be on node %s twice", group.Group, id)
		}
		seen[id] = true
	}
	return nil
}

// mergeReplicas puts changes into groups; both are by group, and so is the outcome.
func mergeReplicas(groups, changes []*directorypb.Replicas) []*directorypb.Replicas {
	merged := make([]*directorypb.Replicas, 0, len(groups)+len(changes))
	for _, change := range changes {
		for len(groups) > 0 && groups[0].Group < change.Group {
			merged, groups = append(merged, groups[0]), groups[1:]
		}
		if len(groups) > 0 && groups[0].Group == change.Group {
			groups = groups[1:]
		}
		merged = append(merged, change)
	}
	return append(merged, groups...)
}
