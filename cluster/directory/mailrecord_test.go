package directory_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rookery-mail/rookery/cluster/command"
	"github.com/rookery-mail/rookery/cluster/directory"
	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
	"github.com/rookery-mail/rookery/cluster/directory/directorytest"
)

// routeTo is a record of mail.
func routeTo(name string, hosts ...string) *directorypb.MailRecord {
	return &directorypb.MailRecord{Name: name, Record: &directorypb.MailRecord_Route{Route: &directorypb.Route{Hosts: hosts}}}
}

// TestMailRecord: changes happen all or none, against the versions that they expect.
func TestMailRecord(t *testing.T) {
	store, machine := &directorytest.Store{}, directory.New()
	put := func(changes ...directory.MailChange) error {
		t.Helper()
		c, err := directory.PutMail(changes...)
		if err != nil {
			return err
		}
		c.Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		encoded, err := machine.Execute(store, c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = directory.DecodeResult(encoded)
		return err
	}
	at := func(v uint64) *uint64 { return &v }
	v := directory.View{R: store}
	names := func(prefix string) (list []string) {
		t.Helper()
		err := v.EachMailRecord(directory.MailRoute, prefix, func(m *directorypb.MailRecord) error {
			list = append(list, m.Name)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}

	rule := &directorypb.MailRecord{Name: "a", Record: &directorypb.MailRecord_TlsRule{TlsRule: &directorypb.TlsRule{Level: "verify"}}}
	if err := put(directory.MailChange{Record: routeTo("a", "one"), Expected: at(0)}, directory.MailChange{Record: routeTo("ab")},
		directory.MailChange{Record: rule}); err != nil {
		t.Fatal(err)
	}
	if got := names("a"); !slices.Equal(got, []string{"a", "ab"}) {
		t.Errorf("routes %q", got)
	}
	if err := put(directory.MailChange{Record: routeTo("b")}, directory.MailChange{Record: routeTo("a"), Expected: at(7)}); !errors.Is(err, directory.ErrConflict) {
		t.Errorf("a version that it does not have: %v", err)
	}
	if got := names("b"); got != nil {
		t.Errorf("a part of what was refused is there: %q", got)
	}
	if err := put(directory.MailChange{Record: routeTo("a", "two"), Expected: at(1)}, directory.MailChange{Record: routeTo("ab"), Remove: true},
		directory.MailChange{Record: routeTo("never"), Remove: true}); err != nil {
		t.Fatal(err)
	}
	m, err := v.MailRecord(directory.MailRoute, "a")
	if err != nil || m.Version != 2 || !slices.Equal(m.GetRoute().GetHosts(), []string{"two"}) {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := v.MailRecord(directory.MailRoute, "ab"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("a route that was removed: %v", err)
	}
	if m, err := v.MailRecord(directory.MailTLSRule, "a"); err != nil || m.GetTlsRule().GetLevel() != "verify" {
		t.Errorf("a rule of the same name: %v, %v", m, err)
	}
	for what, changes := range map[string][]directory.MailChange{
		"none":        nil,
		"of no kind":  {{Record: &directorypb.MailRecord{Name: "a"}}},
		"no name":     {{Record: routeTo("")}},
		"there twice": {{Record: routeTo("a")}, {Record: routeTo("a"), Remove: true}},
		"too large":   {{Record: routeTo("a", string(make([]byte, 200<<10)))}},
	} {
		if err := put(changes...); !errors.Is(err, directory.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestMailRecordKinds: the number of a kind is that of its field, and no field is without a kind.
func TestMailRecordKinds(t *testing.T) {
	fields := new(directorypb.MailRecord).ProtoReflect().Descriptor().Oneofs().ByName("record").Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		m := new(directorypb.MailRecord)
		r := m.ProtoReflect()
		r.Set(f, r.NewField(f))
		if got := directory.KindOfMail(m); int(got) != int(f.Number()) {
			t.Errorf("kind %d of field %s, %d", got, f.Name(), f.Number())
		}
	}
	if command.PutMail.Level() != command.LevelThird {
		t.Error("the kind came with another level")
	}
}
