package command

import "errors"

// Level numbers the states of the table of kinds. A build of level n executes every kind whose level
// is at most n; a cluster's level is one that all of its members have, and only rises. It stands in
// the directory, so a kind is never proposed while a member would stop at it.
type Level int

const (
	// LevelFirst is the level of the kinds that came with 0.1.
	LevelFirst Level = 1
	// LevelSecond is the level of the kinds that come with 0.2.
	LevelSecond Level = 2
	// LevelThird is the level of the kinds that come with 0.3.
	LevelThird Level = 3
	// Latest is the level of this build. A release that adds kinds adds a level.
	Latest = LevelThird
)

// ErrTooEarly says that a command's kind is of a level that the cluster has not reached: some members
// are still to be upgraded.
var ErrTooEarly = errors.New("not before every node of the cluster runs this version")

// Level is the level that a cluster must have reached before k is proposed.
func (k Kind) Level() Level {
	switch {
	case k >= PutDomain && k <= InitialiseCluster,
		k >= Deliver && k <= DrainGraveyard,
		k >= StageChunk && k <= DropUploads:
		return LevelFirst
	case k >= SetBlobMode, k == PutMail:
		return LevelThird
	}
	return LevelSecond
}
