package node

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/mailstore"
	"github.com/rookery-mail/rookery/mta/script"
	"github.com/rookery-mail/rookery/mta/script/scriptpb"
	"github.com/rookery-mail/rookery/mta/sieve"
)

// List returns an account's scripts, wherever it is.
func (s *scripts) List(_ context.Context, a index.AccountID) ([]script.Script, error) {
	where, err := s.reading(a)
	if err != nil {
		return nil, err
	}
	defer where.Close()
	return script.List(where, a)
}

// Load returns a script of an account: script.ErrNoScript.
func (s *scripts) Load(_ context.Context, a index.AccountID, name string) (script.Script, error) {
	where, err := s.reading(a)
	if err != nil {
		return script.Script{}, err
	}
	defer where.Close()
	return script.Load(where, a, name)
}

// Put stores a script that was checked, and has it be run from now on where activate is set.
func (s *scripts) Put(ctx context.Context, a index.AccountID, name string, text []byte, activate bool) error {
	return s.edit(ctx, &scriptpb.EditScriptsCommand{Account: uint64(a), Edit: scriptpb.Edit_EDIT_PUT, Name: name, Text: text, Activate: activate})
}

// Rename gives a script another name.
func (s *scripts) Rename(ctx context.Context, a index.AccountID, name, to string) error {
	return s.edit(ctx, &scriptpb.EditScriptsCommand{Account: uint64(a), Edit: scriptpb.Edit_EDIT_RENAME, Name: name, To: to})
}

// Delete removes a script that is not active.
func (s *scripts) Delete(ctx context.Context, a index.AccountID, name string) error {
	return s.edit(ctx, &scriptpb.EditScriptsCommand{Account: uint64(a), Edit: scriptpb.Edit_EDIT_DELETE, Name: name})
}

// Activate has a script be run from now on and no other; without a name none is.
func (s *scripts) Activate(ctx context.Context, a index.AccountID, name string) error {
	return s.edit(ctx, &scriptpb.EditScriptsCommand{Account: uint64(a), Edit: scriptpb.Edit_EDIT_ACTIVATE, Name: name})
}

// forget drops all scripts of an account that is gone.
func (s *scripts) forget(ctx context.Context, g cluster.GroupID, a index.AccountID) error {
	if s.n.level() < command.EditScripts.Level() {
		return nil
	}
	_, err := s.propose(ctx, g, &scriptpb.EditScriptsCommand{Account: uint64(a), Edit: scriptpb.Edit_EDIT_FORGET})
	return err
}

// edit changes the scripts of an account. When it returns, they are read here as they are then.
func (s *scripts) edit(ctx context.Context, cmd *scriptpb.EditScriptsCommand) error {
	if s.n.level() < command.EditScripts.Level() {
		return command.ErrTooEarly
	}
	g, err := s.n.locate(index.AccountID(cmd.Account))
	if err != nil {
		return err
	}
	at, err := s.propose(ctx, g, cmd)
	if err != nil {
		return err
	}
	replica, err := s.n.anyReplica(g)
	if err != nil {
		return nil // it is done; nobody reads it here
	}
	return replica.WaitApplied(ctx, at)
}

// propose changes the scripts of an account in its partition.
func (s *scripts) propose(ctx context.Context, g cluster.GroupID, cmd *scriptpb.EditScriptsCommand) (cluster.LogIndex, error) {
	payload, err := cmd.MarshalVT()
	if err != nil {
		return 0, fmt.Errorf("encode a change of scripts: %w", err)
	}
	result, at, err := s.n.router.Propose(ctx, g, command.Command{ID: mailstore.RandomID(), Kind: command.EditScripts, Time: time.Now(), Payload: payload})
	if err != nil {
		return 0, fmt.Errorf("change the scripts of account %d: %w", cmd.Account, err)
	}
	return at, script.Refusal(result)
}

// check says what is wrong with a script.
func check(text []byte) error {
	_, err := sieve.Compile(text, sieve.Limits{})
	return err
}
