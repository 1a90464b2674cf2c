package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cmd/internal/adminapi"
	"github.com/rookery-mail/rookery/mta/script"
	"github.com/rookery-mail/rookery/mta/sieve"
)

var _ adminapi.Scripts = (*Node)(nil)

// Scripts implements adminapi.Scripts.
func (n *Node) Scripts(ctx context.Context, owner string) ([]adminapi.Script, error) {
	out := []adminapi.Script{}
	if owner == "" {
		list, err := n.mailRecordsOf(directory.MailSieveScript, "")
		for _, m := range list {
			s := m.GetSieveScript()
			out = append(out, adminapi.Script{Name: m.Name, Size: len(s.GetText()), Changed: time.UnixMilli(s.GetChanged())})
		}
		return out, err
	}
	a, err := n.account(owner)
	if err != nil {
		return nil, err
	}
	list, err := n.scripts.List(ctx, a.ID)
	for _, s := range list {
		out = append(out, adminapi.Script{Name: s.Name, Active: s.Active, Size: len(s.Text), Changed: s.Changed})
	}
	return out, err
}

// Script implements adminapi.Scripts.
func (n *Node) Script(ctx context.Context, owner, name string) (adminapi.Script, error) {
	if owner == "" {
		m, err := n.mailRecord(directory.MailSieveScript, name)
		s := m.GetSieveScript()
		return adminapi.Script{Name: name, Size: len(s.GetText()), Changed: time.UnixMilli(s.GetChanged()), Text: string(s.GetText())}, err
	}
	a, err := n.account(owner)
	if err != nil {
		return adminapi.Script{}, err
	}
	s, err := n.scripts.Load(ctx, a.ID, name)
	return adminapi.Script{Name: name, Size: len(s.Text), Changed: s.Changed, Text: string(s.Text)}, ofScripts(err)
}

// PutScript implements adminapi.Scripts.
func (n *Node) PutScript(ctx context.Context, owner string, s adminapi.Script) error {
	if err := script.CheckName(s.Name); err != nil {
		return ofScripts(err)
	}
	if err := check([]byte(s.Text)); err != nil {
		return ofScripts(err)
	}
	if owner == "" {
		return n.putMail(ctx, directory.MailChange{Record: &directorypb.MailRecord{Name: s.Name, Record: &directorypb.MailRecord_SieveScript{
			SieveScript: &directorypb.SieveScript{Text: []byte(s.Text), Changed: time.Now().UnixMilli()}}}})
	}
	a, err := n.account(owner)
	if err != nil {
		return err
	}
	return ofScripts(n.scripts.Put(ctx, a.ID, s.Name, []byte(s.Text), s.Active))
}

// ActivateScript implements adminapi.Scripts.
func (n *Node) ActivateScript(ctx context.Context, owner, name string) error {
	a, err := n.account(owner)
	if err != nil {
		return err
	}
	return ofScripts(n.scripts.Activate(ctx, a.ID, name))
}

// DeleteScript implements adminapi.Scripts.
func (n *Node) DeleteScript(ctx context.Context, owner, name string) error {
	if owner == "" {
		return n.removeMail(ctx, directory.MailSieveScript, name)
	}
	a, err := n.account(owner)
	if err != nil {
		return err
	}
	return ofScripts(n.scripts.Delete(ctx, a.ID, name))
}

// CheckScript implements adminapi.Scripts.
func (n *Node) CheckScript(_ context.Context, s adminapi.Script) error {
	return ofScripts(check([]byte(s.Text)))
}

// ofScripts has an error of scripts be told as what it is to the caller of the API.
func ofScripts(err error) error {
	var wrong *sieve.Error
	switch {
	case errors.Is(err, script.ErrNoScript):
		return fmt.Errorf("%w: %w", directory.ErrNotFound, err)
	case errors.Is(err, script.ErrExists), errors.Is(err, script.ErrActive):
		return fmt.Errorf("%w: %w", directory.ErrConflict, err)
	case errors.As(err, &wrong), errors.Is(err, script.ErrName), errors.Is(err, script.ErrInvalid), errors.Is(err, script.ErrTooLarge), errors.Is(err, script.ErrTooMany):
		return fmt.Errorf("%w: %w", directory.ErrInvalid, err)
	}
	return err
}
