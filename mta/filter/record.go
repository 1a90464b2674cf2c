package filter

import (
	"time"

	"github.com/rookery-mail/rookery/cluster/directory/directorypb"
)

// Of is the setting of a record. It is not checked: the record may be of a newer version.
func Of(m *directorypb.MailRecord) Setting {
	f := m.GetFilter()
	return Setting{Name: m.GetName(), Kind: Kind(f.GetKind()), Order: f.GetOrder(), Address: f.GetAddress(),
		Timeout: time.Duration(f.GetTimeout()) * time.Millisecond, Closed: f.GetClosed(), Found: Action(f.GetFound()), RefuseAt: f.GetRefuseAt(), Weight: f.GetWeight(),
		Most: f.GetMost(), Over: Over(f.GetOver()), AtOnce: int(f.GetAtOnce()), User: f.GetUser(), Password: f.GetPassword(), Paused: f.GetPaused()}
}

// Record is the record of a setting that has passed Check.
func (s *Setting) Record() *directorypb.MailRecord {
	return &directorypb.MailRecord{Name: s.Name, Record: &directorypb.MailRecord_Filter{Filter: &directorypb.Filter{Kind: string(s.Kind), Order: s.Order, Address: s.Address,
		Timeout: s.Timeout.Milliseconds(), Closed: s.Closed, Found: string(s.Found), RefuseAt: s.RefuseAt, Weight: s.Weight,
		Most: s.Most, Over: string(s.Over), AtOnce: uint32(s.AtOnce), User: s.User, Password: s.Password, Paused: s.Paused}}}
}
