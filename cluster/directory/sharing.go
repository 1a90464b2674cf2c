package directory

import (
	"encoding/binary"
	"fmt"

	"github.com/rookery-mail/rookery/cluster"
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// Anyone stands, in the place of an account that mailboxes are shared with, for every account.
const Anyone cluster.AccountID = 0

// maxSharedWith is how many accounts one account may ever share mailboxes with. Replicas must agree on
// it.
const maxSharedWith = 5000

// NoteSharing notes that owner may share mailboxes with grantee, or with Anyone. It is proposed before
// the grant itself is made, which the owner's partition keeps, so that whoever looks in the accounts of
// View.SharedBy finds every grant. What is noted stays until one of the two accounts is deleted: no order of
// two proposers can make it forget a grant that there is.
func NoteSharing(owner, grantee cluster.AccountID) (command.Command, error) {
	return build(command.NoteSharing, &directorypb.NoteSharing{Owner: uint64(owner), Grantee: uint64(grantee)})
}

func noteSharing(s step, m *directorypb.NoteSharing) (*directorypb.Result, error) {
	owner, grantee := cluster.AccountID(m.Owner), cluster.AccountID(m.Grantee)
	if owner == grantee {
		return nil, refuse(ErrInvalid, "account %d needs no grant of its own", owner)
	}
	if _, err := s.needAccount(owner); err != nil {
		return nil, err
	}
	if grantee != Anyone {
		if _, err := s.needAccount(grantee); err != nil {
			return nil, err
		}
	}
	known, err := exists(s, pairKey(keySharedWith, owner, grantee))
	if err != nil || known {
		return ok(err)
	}
	n := 0
	err = scanKeys(s, pairPrefix(keySharedWith, owner), nil, maxSharedWith, func(_, _ []byte) error { n++; return nil })
	if err != nil {
		return nil, err
	}
	if n >= maxSharedWith {
		return nil, refuse(ErrInUse, "account %d shares with %d accounts already", owner, n)
	}
	if err := s.Set(pairKey(keySharedWith, owner, grantee), nil); err != nil {
		return nil, err
	}
	return ok(s.Set(pairKey(keySharedBy, grantee, owner), nil))
}

// forgetSharing takes away what is noted of an account that is deleted, on both sides.
func (s step) forgetSharing(id cluster.AccountID) error {
	var gone [][]byte
	for _, side := range []struct{ key, other byte }{{keySharedBy, keySharedWith}, {keySharedWith, keySharedBy}} {
		err := scanKeys(s, pairPrefix(side.key, id), nil, 0, func(key, _ []byte) error {
			other, err := otherOf(key)
			gone = append(gone, append([]byte(nil), key...), pairKey(side.other, other, id))
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, key := range gone {
		if err := s.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// SharedBy returns the accounts that may share mailboxes with an account, or with Anyone, by id. Whether
// they do is for their partitions to say.
func (v View) SharedBy(grantee cluster.AccountID) (owners []cluster.AccountID, err error) {
	err = scanKeys(v.R, pairPrefix(keySharedBy, grantee), nil, 0, func(key, _ []byte) error {
		owner, err := otherOf(key)
		owners = append(owners, owner)
		return err
	})
	return owners, err
}

// Shares reports whether it is noted that owner may share mailboxes with grantee.
func (v View) Shares(owner, grantee cluster.AccountID) (bool, error) {
	return exists(v.R, pairKey(keySharedWith, owner, grantee))
}

// pairPrefix is what the keys of an account's pairs start with.
func pairPrefix(kind byte, a cluster.AccountID) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, uint64(a))
}

func pairKey(kind byte, a, b cluster.AccountID) []byte {
	return binary.BigEndian.AppendUint64(pairPrefix(kind, a), uint64(b))
}

// otherOf is the second account of a pair's key.
func otherOf(key []byte) (cluster.AccountID, error) {
	if len(key) != 17 {
		return 0, fmt.Errorf("read key %x of a pair: %w", key, ErrCorrupt)
	}
	return cluster.AccountID(binary.BigEndian.Uint64(key[9:])), nil
}
