package directory

import (
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// The limits of records of sending. Replicas must agree on them: one changes only with a new kind.
const (
	maxSendingChanges = 1000
	maxSending        = 128 << 10 // octets of a record
)

// SendingKind tells the records of sending apart: the field of directorypb.Sending that is set. The numbers are stored.
type SendingKind byte

// The kinds of records of sending.
const (
	SendingDkimKey    SendingKind = 16
	SendingSecret     SendingKind = 17
	SendingRoute      SendingKind = 18
	SendingEgress     SendingKind = 19
	SendingVolume     SendingKind = 20
	SendingBlock      SendingKind = 21
	SendingTLSRule    SendingKind = 22
	SendingSTSPolicy  SendingKind = 23
	SendingTLSResults SendingKind = 24
	SendingDomainMail SendingKind = 25
)

// KindOfSending is the kind of a record, 0 for one that has none.
func KindOfSending(m *directorypb.Sending) SendingKind {
	switch m.GetRecord().(type) {
	case *directorypb.Sending_DkimKey:
		return SendingDkimKey
	case *directorypb.Sending_Secret:
		return SendingSecret
	case *directorypb.Sending_Route:
		return SendingRoute
	case *directorypb.Sending_Egress:
		return SendingEgress
	case *directorypb.Sending_Volume:
		return SendingVolume
	case *directorypb.Sending_Block:
		return SendingBlock
	case *directorypb.Sending_TlsRule:
		return SendingTLSRule
	case *directorypb.Sending_StsPolicy:
		return SendingSTSPolicy
	case *directorypb.Sending_TlsResults:
		return SendingTLSResults
	case *directorypb.Sending_DomainMail:
		return SendingDomainMail
	}
	return 0
}

// SendingChange sets a record of what mail to other domains goes by, or removes it.
type SendingChange struct {
	Record *directorypb.Sending // its kind and name; its version is not read
	Remove bool                 // one that is not there is no error
	// Expected is the version that the record must have, 0 for none there; else all is refused with ErrConflict. Nil takes any.
	Expected *uint64
}

// PutSending changes records of sending, at most 1,000, all or none.
func PutSending(changes ...SendingChange) (command.Command, error) {
	m := &directorypb.PutSending{}
	for _, c := range changes {
		m.Changes = append(m.Changes, &directorypb.SendingChange{Record: c.Record, Remove: c.Remove, Expected: c.Expected})
	}
	if err := checkSending(m); err != nil {
		return command.Command{}, err
	}
	return build(command.PutSending, m)
}

func checkSending(m *directorypb.PutSending) error {
	if n := len(m.Changes); n == 0 || n > maxSendingChanges {
		return refuse(ErrInvalid, "%d changes of records of sending; 1 to %d are allowed", n, maxSendingChanges)
	}
	seen := make(map[string]bool, len(m.Changes))
	for _, c := range m.Changes {
		r := c.GetRecord()
		if KindOfSending(r) == 0 {
			return refuse(ErrInvalid, "record %q of sending is of no kind that is known", r.GetName())
		}
		if err := checkName("name of a record of sending", r.Name); err != nil {
			return err
		}
		if n := r.SizeVT(); n > maxSending {
			return refuse(ErrInvalid, "record %s of sending with %d octets; %d are allowed", r.Name, n, maxSending)
		}
		key := string(sendingKey(KindOfSending(r), r.Name))
		if seen[key] {
			return refuse(ErrInvalid, "record %s of sending is there twice", r.Name)
		}
		seen[key] = true
	}
	return nil
}

func putSending(s step, m *directorypb.PutSending) (*directorypb.Result, error) {
	if err := checkSending(m); err != nil {
		return nil, err
	}
	versions := make([]uint64, len(m.Changes))
	for i, c := range m.Changes {
		var was directorypb.Sending
		if _, err := load(s, sendingKey(KindOfSending(c.Record), c.Record.Name), &was); err != nil {
			return nil, err
		}
		if c.Expected != nil && *c.Expected != was.Version {
			return nil, refuse(ErrConflict, "record %s of sending has version %d and not %d", c.Record.Name, was.Version, *c.Expected)
		}
		versions[i] = was.Version + 1
	}
	for i, c := range m.Changes {
		key := sendingKey(KindOfSending(c.Record), c.Record.Name)
		if c.Remove {
			if err := s.Delete(key); err != nil {
				return nil, err
			}
			continue
		}
		c.Record.Version = versions[i]
		if err := s.store(key, c.Record); err != nil {
			return nil, err
		}
	}
	return ok(nil)
}

// Sending returns a record of sending, ErrNotFound where there is none.
func (v View) Sending(kind SendingKind, name string) (*directorypb.Sending, error) {
	m := new(directorypb.Sending)
	found, err := load(v.R, sendingKey(kind, name), m)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, refuse(ErrNotFound, "there is no record %s of sending", name)
	}
	return m, nil
}

// EachSending calls fn for the records of a kind whose names begin with prefix, by name.
func (v View) EachSending(kind SendingKind, prefix string, fn func(*directorypb.Sending) error) error {
	return scan(v.R, sendingKey(kind, prefix), nil, 0, fn)
}
