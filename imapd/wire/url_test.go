package wire

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestURL(t *testing.T) {
	for in, want := range map[string]string{
		"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER":                                                       `Drafts 385759045 20 [HEADER]`,
		"imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred":                                       `joe example.com INBOX 0 20 [1.2] submit+fred`,
		"imap://joe@example.com/Gr%C3%BC%C3%9Fe/x/;UID=1;EXPIRE=2026-03-05T12:00:00Z;URLAUTH=anonymous:internal:91ab": `joe example.com Grüße/x 0 1 [] anonymous INTERNAL 91ab`,
		"imap://minbari.example.org:143/inbox/;UID=4294967295/;PARTIAL=1.1024":                                        ` minbari.example.org INBOX 0 4294967295 [] 1.1024`,
		"imap://joe;AUTH=*@[::1]/a/;UID=1;URLAUTH=user+a%40b":                                                         `joe [::1] a 0 1 [] user+a@b`,
		";UID=20/;SECTION=1.MIME": ` 0 20 [1.MIME]`,
		"/a/;UID=2/;SECTION=HEADER.FIELDS%20(SUBJECT%20FROM)/;PARTIAL=5": `a 0 2 [HEADER.FIELDS (SUBJECT FROM)] 5.9223372036854775807`,
		"imap://joe@example.com/INBOX/;UID=20;URLAUTH=authuser":          `joe example.com INBOX 0 20 [] authuser`,
		"": "", "/": "", "/INBOX": "", "/INBOX/;UID=": "", "/INBOX/;UID=0": "", "/INBOX/;UID=+1": "", "/INBOX/;UID=4294967296": "",
		"/;UID=1": "", "/INBOX;UIDVALIDITY=0/;UID=1": "", "/IN BOX/;UID=1": "", "/%ff/;UID=1": "", "/%zz/;UID=1": "",
		"/INBOX/;UID=1/;SECTION=": "", "/INBOX/;UID=1/;SECTION=1]x": "", "/INBOX/;UID=1/;SECTION=MIME": "", "/INBOX/;UID=1/;SECTION=1.2%5D%5B": "",
		"/INBOX/;UID=1/;PARTIAL=": "", "/INBOX/;UID=1/;PARTIAL=1.0": "", "/INBOX/;UID=1/;PARTIAL=-1.5": "",
		"imap:///INBOX/;UID=1": "", "imap://joe@example.com": "", "http://joe@example.com/INBOX/;UID=1": "",
		"/INBOX/;UID=1;EXPIRE=2026-03-05T12:00:00Z": "", "/INBOX/;UID=1;URLAUTH=": "", "/INBOX/;UID=1;URLAUTH=user": "", "/INBOX/;UID=1;URLAUTH=user+": "",
		"/INBOX/;UID=1;URLAUTH=anonymous+x": "", "/INBOX/;UID=1;URLAUTH=all": "", "/INBOX/;UID=1;URLAUTH=anonymous:internal": "", "/INBOX/;UID=1;EXPIRE=soon;URLAUTH=anonymous": "",
	} {
		u, err := ParseURL(in)
		if (err != nil) != (want == "") || err != nil && !errors.Is(err, ErrURL) {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := shown(u); want != "" && got != want {
			t.Errorf("%s was read as %s, not %s", in, got, want)
		}
	}
}

// shown is a URL in short.
func shown(u URL) string {
	var out []byte
	if u.Absolute {
		out = append(out, u.User+" "+u.Host+" "...)
	}
	out = append(out, u.Mailbox+" "...)
	for _, n := range []uint32{u.UIDValidity, u.UID} {
		text, _ := json.Marshal(n)
		out = append(append(out, text...), ' ')
	}
	out = u.Section.Append(out)
	if u.Partial {
		offset, _ := json.Marshal(u.Offset)
		count, _ := json.Marshal(u.Count)
		out = append(append(append(append(out, ' '), offset...), '.'), count...)
	}
	if u.Access != "" {
		out = append(out, " "+u.Access...)
	}
	if u.Mechanism != "" {
		out = append(out, " "+u.Mechanism+" "+u.Token...)
	}
	return string(out)
}

// FuzzURL: a text is refused, or read as a message's URL whose rump it begins with.
func FuzzURL(f *testing.F) {
	f.Add("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=HEADER")
	f.Add("imap://joe@example.com/INBOX/;uid=20/;section=1.2;EXPIRE=2026-03-05T12:00:00Z;urlauth=submit+fred:internal:91ab")
	f.Add(";UID=1/;SECTION=HEADER.FIELDS%20(A)/;PARTIAL=0.1")
	f.Add("imap://[::1]:143/%E2%82%AC/;UID=1;URLAUTH=anonymous")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURL(text)
		if err != nil {
			return
		}
		if u.UID == 0 || (u.Mailbox == "") != u.Selected || len(text) < len(u.Rump) || text[:len(u.Rump)] != u.Rump || (u.Rump == "") != (u.Access == "") {
			t.Fatalf("%q is %+v", text, u)
		}
	})
}
