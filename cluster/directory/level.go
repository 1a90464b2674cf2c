package directory

import (
	"strconv"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// levelSetting is the name under which the cluster's level is kept, beside the settings that
// operators make: every version stores a setting that it does not know.
const levelSetting = "command_level"

// RaiseLevel states that every member executes the commands of a level. It is proposed once they all
// said so, and a level is never lowered.
func RaiseLevel(to command.Level) (command.Command, error) {
	text := strconv.Itoa(int(to))
	return build(command.PutSetting, &directorypb.PutSetting{Name: levelSetting, Value: &text})
}

// Level is the level of the cluster; command.LevelFirst where none was stated.
func (v View) Level() (command.Level, error) {
	var m directorypb.Setting
	set, err := load(v.R, settingKey(levelSetting), &m)
	if err != nil || !set {
		return command.LevelFirst, err
	}
	n, err := strconv.Atoi(m.Value)
	if err != nil || n < int(command.LevelFirst) {
		return command.LevelFirst, nil // the careful reading of what no build writes
	}
	return command.Level(n), nil
}
