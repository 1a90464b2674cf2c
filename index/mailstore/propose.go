package mailstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/index"
	"github.com/rookery-mail/rookery/index/indexpb"
)

// ErrRefused says that the state machine found a command to be no valid one, for a reason that the
// error tells and that none of the errors of package index stands for.
var ErrRefused = errors.New("refused")

type payload interface {
	MarshalVT() ([]byte, error)
}

// propose commits a command and returns its result, whatever the code in it, and where it is in the
// log.
func (s *Store) propose(ctx context.Context, g cluster.GroupID, k command.Kind, p payload) (*indexpb.Result, cluster.LogIndex, error) {
	data, err := p.MarshalVT()
	if err != nil {
		return nil, 0, fmt.Errorf("encode %v: %w", k, err)
	}
	return s.proposeEncoded(ctx, g, k, data)
}

// proposeEncoded is propose with the command's payload as it goes into the log.
func (s *Store) proposeEncoded(ctx context.Context, g cluster.GroupID, k command.Kind, data []byte) (*indexpb.Result, cluster.LogIndex, error) {
	encoded, at, err := s.proposeRaw(ctx, g, k, data)
	if err != nil {
		return nil, 0, err
	}
	res := new(indexpb.Result)
	if err := res.UnmarshalVT(encoded); err != nil {
		return nil, 0, fmt.Errorf("decode result of %v: %w", k, err)
	}
	return res, at, nil
}

// proposeRaw is proposeEncoded with the result as the machine gave it.
func (s *Store) proposeRaw(ctx context.Context, g cluster.GroupID, k command.Kind, data []byte) ([]byte, cluster.LogIndex, error) {
	if len(data)+command.HeaderSize > cluster.MaxEntrySize {
		return nil, 0, fmt.Errorf("%v of %d bytes: %w", k, len(data), cluster.ErrTooLarge)
	}
	c := command.Command{ID: s.c.NewID(), Kind: k, Time: s.c.Clock(), Payload: data}
	encoded, at, err := s.c.Proposer.Propose(ctx, g, c)
	if err != nil {
		return nil, 0, fmt.Errorf("propose %v to %v: %w", k, g, err)
	}
	return encoded, at, nil
}

// change commits a command, waits until the local replica, where there is one, shows it, and turns
// the result's code into an error.
func (s *Store) change(ctx context.Context, g cluster.GroupID, k command.Kind, p payload) (*indexpb.Result, error) {
	res, at, err := s.propose(ctx, g, k, p)
	if err != nil {
		return nil, err
	}
	replica, err := s.c.Replica(g)
	switch {
	case errors.Is(err, cluster.ErrNoReplica):
	case err != nil:
		return nil, fmt.Errorf("find replica of %v: %w", g, err)
	default:
		if err := replica.WaitApplied(ctx, at); err != nil {
			return nil, fmt.Errorf("wait for %v to apply index %d: %w", g, at, err)
		}
	}
	return res, codeError(res.Code, res.Text)
}

// codeError is the error that a code of a result stands for.
func codeError(code indexpb.Code, text string) error {
	switch code {
	case indexpb.Code_CODE_OK, indexpb.Code_CODE_DUPLICATE:
		return nil
	case indexpb.Code_CODE_NO_MAILBOX, indexpb.Code_CODE_TRY_CREATE:
		return index.ErrNoMailbox
	case indexpb.Code_CODE_MAILBOX_EXISTS:
		return index.ErrMailboxExists
	case indexpb.Code_CODE_OVER_QUOTA:
		return index.ErrOverQuota
	case indexpb.Code_CODE_UID_VALIDITY:
		return index.ErrGone
	case indexpb.Code_CODE_NO_UPLOAD:
		return fmt.Errorf("the staged message is not there any more: %w", cluster.ErrUnavailable)
	case indexpb.Code_CODE_NO_PACK:
		return errNoPack
	case indexpb.Code_CODE_TOO_MANY_KEYWORDS:
		return index.ErrTooManyKeywords
	case indexpb.Code_CODE_NO_MESSAGE:
		return index.ErrNoMessage
	case indexpb.Code_CODE_TOO_MANY_GRANTS:
		return index.ErrTooManyGrants
	case indexpb.Code_CODE_TOO_MANY_ANNOTATIONS:
		return index.ErrTooManyAnnotations
	case indexpb.Code_CODE_HAS_CHILDREN:
		return index.ErrHasChildren
	}
	return fmt.Errorf("%w: %s", ErrRefused, text)
}

// limits is an account's quota as commands carry it.
func (s *Store) limits(a index.AccountID) *indexpb.Limits {
	bytes, messages := s.c.Limits(a)
	if bytes == 0 && messages == 0 {
		return nil
	}
	return &indexpb.Limits{Bytes: bytes, Messages: messages}
}
