package setting_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/rookery-mail/rookery/blobstore"
	"github.com/rookery-mail/rookery/blobstore/setting"
)

func good() setting.Setting {
	s := setting.Default()
	s.URL, s.Credentials, s.Endpoint = "s3://mail/rookery", setting.CredentialsFile, "https://s3.example.org"
	return s
}

// TestText: what is kept is read again, what is not said has its default, and what a later version says more is
// passed over.
func TestText(t *testing.T) {
	s := good()
	s.Encrypt, s.Key, s.Retiring = true, "0102030405060708", []string{"1112131415161718"}
	text, err := s.Text()
	if err != nil {
		t.Fatal(err)
	}
	if got, ok, err := setting.Parse(text); err != nil || !ok || !reflect.DeepEqual(got, s) {
		t.Errorf("%+v, %v, %v came of %s", got, ok, err, text)
	}
	if _, ok, err := setting.Parse(""); ok || err != nil {
		t.Errorf("an empty text is a setting: %v, %v", ok, err)
	}
	got, ok, err := setting.Parse(`{"url":"file:///srv/mail","moon":"full"}`)
	want := setting.Default()
	want.URL = "file:///srv/mail"
	if err != nil || !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	if id, err := s.KeyID(); err != nil || id != (blobstore.KeyID{1, 2, 3, 4, 5, 6, 7, 8}) {
		t.Errorf("key %x, %v", id, err)
	}
	s.Encrypt = false
	if id, err := s.KeyID(); err != nil || id != (blobstore.KeyID{}) {
		t.Errorf("key %x, %v without encryption", id, err)
	}
}

// TestCheck: what cannot be meant is refused with what is wrong.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		change func(*setting.Setting)
		want   string // in the error; empty: it is good
	}{
		{func(*setting.Setting) {}, ""},
		{func(s *setting.Setting) { s.URL = "s3://mail" }, ""},
		{func(s *setting.Setting) { s.URL, s.Credentials = "file:///srv/mail", "" }, ""},
		{func(s *setting.Setting) { s.URL = "s3:///mail" }, "no bucket"},
		{func(s *setting.Setting) { s.URL = "mail" }, "neither s3://"},
		{func(s *setting.Setting) { s.URL = "file://srv/mail" }, "absolute path"},
		{func(s *setting.Setting) { s.URL = "s3://key:secret@mail" }, "nothing but"},
		{func(s *setting.Setting) { s.URL = "s3://mail/a/../b" }, "prefix"},
		{func(s *setting.Setting) { s.URL = "s3://mail/" + strings.Repeat("x", 300) }, "longer than"},
		{func(s *setting.Setting) { s.Credentials = "" }, "credentials"},
		{func(s *setting.Setting) { s.CredentialsFile = "keys" }, "absolute path"},
		{func(s *setting.Setting) { s.Endpoint = "s3.example.org" }, "endpoint"},
		{func(s *setting.Setting) { s.Endpoint = "https://s3.example.org/mail" }, "endpoint"},
		{func(s *setting.Setting) { s.Style = "dns" }, "style"},
		{func(s *setting.Setting) { s.Encrypt = true }, "key id"},
		{func(s *setting.Setting) { s.Retiring = []string{"x"} }, "key id"},
		{func(s *setting.Setting) {
			s.Encrypt, s.Key, s.Retiring = true, "0102030405060708", []string{"0102030405060708"}
		}, "cannot be retired"},
		{func(s *setting.Setting) { s.PackBytes = 1 << 30 }, "pack size"},
		{func(s *setting.Setting) { s.PackAgeSeconds = 0 }, "pack age"},
		{func(s *setting.Setting) { s.StagingBytes = 0 }, "staging bound"},
		{func(s *setting.Setting) { s.GraceSeconds = -1 }, "grace"},
		{func(s *setting.Setting) { s.Prices.GiBMonth = -1 }, "price"},
	} {
		s := good()
		c.change(&s)
		err := s.Check()
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", s.URL, err)
		}
		if c.want != "" && (!errors.Is(err, setting.ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("error %v, wanted one that says %q", err, c.want)
		}
	}
}

// FuzzParse: no text makes a setting that is not checked.
func FuzzParse(f *testing.F) {
	f.Add(`{"url":"s3://mail/x","credentials":"env","pack_bytes":8388608}`)
	f.Add(`{"url":"file:///x","retiring":["0102030405060708"]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, ok, err := setting.Parse(text)
		if err == nil && ok && s.Check() != nil {
			t.Errorf("%q gave %+v", text, s)
		}
	})
}
