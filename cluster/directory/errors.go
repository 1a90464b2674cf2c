package directory

import (
	"errors"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// Errors of commands and reads. They come with a text for the operator; test with errors.Is.
var (
	// ErrInvalid says that a value is out of bounds or not of its form.
	ErrInvalid = errors.New("not valid")
	// ErrNotFound says that there is no such account, alias, node, token or setting.
	ErrNotFound = errors.New("not found")
	// ErrNoDomain says that a domain is not one of ours. For a recipient it means that the mail
	// would have to be relayed.
	ErrNoDomain = errors.New("not a domain of this cluster")
	// ErrNoUser says that the domain is ours but nobody has the address (SMTP 550 5.1.1).
	ErrNoUser = errors.New("no such user")
	// ErrExists says that the name is taken.
	ErrExists = errors.New("already exists")
	// ErrInUse says that something cannot go because other records need it.
	ErrInUse = errors.New("still in use")
	// ErrConflict says that what a change was planned on has changed meanwhile: read and plan anew.
	ErrConflict = errors.New("changed meanwhile")
	// ErrTokenExpired says that a join token's time is over.
	ErrTokenExpired = errors.New("token has expired")
	// ErrTokenUsed says that a join token let another node in already.
	ErrTokenUsed = errors.New("token was used already")
	// ErrNotInitialised says that the cluster was not initialised yet.
	ErrNotInitialised = errors.New("the cluster is not initialised")
	// ErrCorrupt says that a stored record or a result cannot be read.
	ErrCorrupt = errors.New("unreadable record")
)

// Refusal is a command that was executed and changed nothing. It unwraps to one of the errors above.
type Refusal struct {
	Reason error
	Text   string // for the operator, complete in itself
}

// Error gives the text.
func (r *Refusal) Error() string { return r.Text }

// Unwrap gives the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Result is what the sender of an accepted command is told. Fields that do not belong to the kind
// of command are zero.
type Result struct {
	Account   cluster.AccountID // that was made, changed or deleted
	Partition cluster.GroupID   // of Account
	Version   uint64            // of the partition map
}

// DecodeResult reads what Execute returned. A refused command gives a *Refusal.
func DecodeResult(data []byte) (Result, error) {
	var m directorypb.Result
	if err := m.UnmarshalVT(data); err != nil {
		return Result{}, fmt.Errorf("read the directory's result: %w: %w", ErrCorrupt, err)
	}
	if m.Code != directorypb.Code_CODE_OK {
		return Result{}, &Refusal{Reason: reasonOf(m.Code), Text: m.Text}
	}
	return Result{
		Account:   cluster.AccountID(m.Account),
		Partition: cluster.GroupID(m.Partition),
		Version:   m.Version,
	}, nil
}

// reasonOf gives the sentinel of a code. A code of a later version is ErrInvalid.
func reasonOf(code directorypb.Code) error {
	switch code {
	case directorypb.Code_CODE_NOT_FOUND:
		return ErrNotFound
	case directorypb.Code_CODE_NO_DOMAIN:
		return ErrNoDomain
	case directorypb.Code_CODE_EXISTS:
		return ErrExists
	case directorypb.Code_CODE_IN_USE:
		return ErrInUse
	case directorypb.Code_CODE_CONFLICT:
		return ErrConflict
	case directorypb.Code_CODE_TOKEN_EXPIRED:
		return ErrTokenExpired
	case directorypb.Code_CODE_TOKEN_USED:
		return ErrTokenUsed
	case directorypb.Code_CODE_NOT_INITIALISED:
		return ErrNotInitialised
	}
	return ErrInvalid
}

// codeOf is the inverse of reasonOf.
func codeOf(reason error) directorypb.Code {
	for code := directorypb.Code_CODE_NOT_FOUND; code <= directorypb.Code_CODE_NOT_INITIALISED; code++ {
		if reasonOf(code) == reason {
			return code
		}
	}
	return directorypb.Code_CODE_INVALID
}

func refuse(reason error, format string, args ...any) error {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}
