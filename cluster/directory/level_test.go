package directory_test

import (
	"testing"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
)

// TestLevel: a directory that says nothing is of the first level, as is one that says nonsense, and
// the level is no setting that an operator can see or make.
func TestLevel(t *testing.T) {
	store, machine := &directorytest.Store{}, directory.New()
	execute := func(c command.Command, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := machine.Execute(store, c); err != nil {
			t.Fatal(err)
		}
	}
	want := func(want command.Level) {
		t.Helper()
		if got, err := (directory.View{R: store}).Level(); err != nil || got != want {
			t.Errorf("level %d, %v; want %d", got, err, want)
		}
	}
	want(command.LevelFirst)
	execute(directory.RaiseLevel(command.LevelSecond))
	want(command.LevelSecond)
	if _, err := directory.ParseSetting("command_level", "1"); err == nil {
		t.Error("an operator can set the level")
	}
	execute(directory.RaiseLevel(-3))
	want(command.LevelFirst)
}
