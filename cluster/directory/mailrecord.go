package directory

import (
	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// The limits of records of mail. Replicas must agree on them: one changes only with a new kind.
const (
	maxMailChanges = 1000
	maxMailRecord  = 128 << 10 // octets of a record
)

// MailKind tells the records of mail apart: the field of directorypb.MailRecord that is set. The numbers are stored.
type MailKind byte

// The kinds of records of mail.
const (
	MailDkimKey       MailKind = 16
	MailSecret        MailKind = 17
	MailRoute         MailKind = 18
	MailEgress        MailKind = 19
	MailVolume        MailKind = 20
	MailBlock         MailKind = 21
	MailTLSRule       MailKind = 22
	MailSTSPolicy     MailKind = 23
	MailTLSResults    MailKind = 24
	MailDomainMail    MailKind = 25
	MailSenderList    MailKind = 26
	MailInboundPolicy MailKind = 27
	MailFilter        MailKind = 28
	MailDNSList       MailKind = 29
	MailDMARCResults  MailKind = 30
	MailDMARCReport   MailKind = 31
	MailSieveScript   MailKind = 32
)

// KindOfMail is the kind of a record, 0 for one that has none.
func KindOfMail(m *directorypb.MailRecord) MailKind {
	switch m.GetRecord().(type) {
	case *directorypb.MailRecord_DkimKey:
		return MailDkimKey
	case *directorypb.MailRecord_Secret:
		return MailSecret
	case *directorypb.MailRecord_Route:
		return MailRoute
	case *directorypb.MailRecord_Egress:
		return MailEgress
	case *directorypb.MailRecord_Volume:
		return MailVolume
	case *directorypb.MailRecord_Block:
		return MailBlock
	case *directorypb.MailRecord_TlsRule:
		return MailTLSRule
	case *directorypb.MailRecord_StsPolicy:
		return MailSTSPolicy
	case *directorypb.MailRecord_TlsResults:
		return MailTLSResults
	case *directorypb.MailRecord_DomainMail:
		return MailDomainMail
	case *directorypb.MailRecord_SenderList:
		return MailSenderList
	case *directorypb.MailRecord_InboundPolicy:
		return MailInboundPolicy
	case *directorypb.MailRecord_Filter:
		return MailFilter
	case *directorypb.MailRecord_DnsList:
		return MailDNSList
	case *directorypb.MailRecord_DmarcResults:
		return MailDMARCResults
	case *directorypb.MailRecord_DmarcReport:
		return MailDMARCReport
	case *directorypb.MailRecord_SieveScript:
		return MailSieveScript
	}
	return 0
}

// MailChange sets a record of what mail to other domains goes by, or removes it.
type MailChange struct {
	Record *directorypb.MailRecord // its kind and name; its version is not read
	Remove bool                    // one that is not there is no error
	// Expected is the version that the record must have, 0 for none there; else all is refused with ErrConflict. Nil takes any.
	Expected *uint64
}

// PutMail changes records of mail, at most 1,000, all or none.
func PutMail(changes ...MailChange) (command.Command, error) {
	m := &directorypb.PutMail{}
	for _, c := range changes {
		m.Changes = append(m.Changes, &directorypb.MailChange{Record: c.Record, Remove: c.Remove, Expected: c.Expected})
	}
	if err := checkMail(m); err != nil {
		return command.Command{}, err
	}
	return build(command.PutMail, m)
}

func checkMail(m *directorypb.PutMail) error {
	if n := len(m.Changes); n == 0 || n > maxMailChanges {
		return refuse(ErrInvalid, "%d changes of records of mail; 1 to %d are allowed", n, maxMailChanges)
	}
	seen := make(map[string]bool, len(m.Changes))
	for _, c := range m.Changes {
		r := c.GetRecord()
		if KindOfMail(r) == 0 {
			return refuse(ErrInvalid, "record %q of sending is of no kind that is known", r.GetName())
		}
		if err := checkName("name of a record of mail", r.Name); err != nil {
			return err
		}
		if n := r.SizeVT(); n > maxMailRecord {
			return refuse(ErrInvalid, "record %s of sending with %d octets; %d are allowed", r.Name, n, maxMailRecord)
		}
		key := string(mailKey(KindOfMail(r), r.Name))
		if seen[key] {
			return refuse(ErrInvalid, "record %s of sending is there twice", r.Name)
		}
		seen[key] = true
	}
	return nil
}

func putMail(s step, m *directorypb.PutMail) (*directorypb.Result, error) {
	if err := checkMail(m); err != nil {
		return nil, err
	}
	versions := make([]uint64, len(m.Changes))
	for i, c := range m.Changes {
		var was directorypb.MailRecord
		if _, err := load(s, mailKey(KindOfMail(c.Record), c.Record.Name), &was); err != nil {
			return nil, err
		}
		if c.Expected != nil && *c.Expected != was.Version {
			return nil, refuse(ErrConflict, "record %s of sending has version %d and not %d", c.Record.Name, was.Version, *c.Expected)
		}
		versions[i] = was.Version + 1
	}
	for i, c := range m.Changes {
		key := mailKey(KindOfMail(c.Record), c.Record.Name)
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

// MailRecord returns a record of mail, ErrNotFound where there is none.
func (v View) MailRecord(kind MailKind, name string) (*directorypb.MailRecord, error) {
	m := new(directorypb.MailRecord)
	found, err := load(v.R, mailKey(kind, name), m)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, refuse(ErrNotFound, "there is no record %s of sending", name)
	}
	return m, nil
}

// EachMailRecord calls fn for the records of a kind whose names begin with prefix, by name.
func (v View) EachMailRecord(kind MailKind, prefix string, fn func(*directorypb.MailRecord) error) error {
	return scan(v.R, mailKey(kind, prefix), nil, 0, fn)
}
