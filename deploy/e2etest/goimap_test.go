package e2etest

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
)

// goimapMailboxes makes, lists, renames, subscribes and deletes mailboxes.
func goimapMailboxes(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	c, err := imapclient.DialStartTLS(a.out.imap, &imapclient.Options{TLSConfig: s.tlsConfig(t, a.out)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Authenticate(sasl.NewPlainClient("", a.address, a.password)); err != nil {
		t.Fatal(err)
	}
	enable(t, c)
	for _, want := range []imap.Cap{imap.CapIMAP4rev1, imap.CapIMAP4rev2, imap.CapUIDPlus, imap.CapMove, imap.CapIdle,
		imap.CapNamespace, imap.CapESearch, imap.CapSearchRes, imap.CapEnable, imap.CapLiteralPlus, imap.CapID,
		imap.CapUnselect, imap.CapCondStore, imap.CapListExtended, imap.CapListStatus, imap.CapSpecialUse} {
		if !c.Caps().Has(want) {
			t.Errorf("no %s in %v", want, c.Caps())
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Create("Work/Projects/Rookery", nil).Wait())
	must(c.Create("Empfänger", nil).Wait())
	must(c.Rename("Work", "Old", nil).Wait())
	must(c.Subscribe("Old/Projects").Wait())
	must(c.Unsubscribe("Empfänger").Wait())
	if err := c.Create("Empfänger", nil).Wait(); err == nil {
		t.Error("a mailbox was made twice")
	}
	if err := c.Delete("INBOX").Wait(); err == nil {
		t.Error("INBOX was deleted")
	}
	names := func(pattern string, options *imap.ListOptions) (names []string) {
		t.Helper()
		list, err := c.List("", pattern, options).Collect()
		must(err)
		for _, l := range list {
			names = append(names, l.Mailbox)
		}
		slices.Sort(names)
		return names
	}
	for _, want := range []string{"INBOX", "Empfänger", "Old", "Old/Projects", "Old/Projects/Rookery"} {
		if all := names("*", nil); !slices.Contains(all, want) {
			t.Errorf("%s is not in %q", want, all)
		}
	}
	if got := names("Old/%", nil); !slices.Equal(got, []string{"Old/Projects"}) {
		t.Errorf("Old/%% lists %q", got)
	}
	if got := names("*", &imap.ListOptions{SelectSubscribed: true}); !slices.Contains(got, "Old/Projects") || slices.Contains(got, "Empfänger") {
		t.Errorf("subscribed are %q", got)
	}
	must(c.Delete("Old/Projects/Rookery").Wait())
	if got := names("Old/Projects/*", nil); len(got) != 0 {
		t.Errorf("deleted, but listed: %q", got)
	}
	ns, err := c.Namespace().Wait()
	must(err)
	if len(ns.Personal) != 1 || ns.Personal[0].Delim != '/' {
		t.Errorf("namespaces %+v", ns)
	}
	must(c.Logout().Wait())
}

// goimapMessages appends, searches, fetches, flags, copies, moves and expunges.
func goimapMessages(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	c := a.dial(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Create("Filed", nil).Wait())
	when := time.Date(2020, 5, 6, 7, 8, 9, 0, time.FixedZone("", 2*3600))
	raw := multipart(a.address)
	cmd := c.Append("INBOX", int64(len(raw)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen, "$Label1"}, Time: when})
	_, err := io.WriteString(cmd, raw)
	must(err)
	must(cmd.Close())
	appended, err := cmd.Wait()
	must(err)
	a.put(t, "INBOX", message("x@example.com", a.address, "second", "needle in the text"))
	selected, err := c.Select("INBOX", nil).Wait()
	must(err)
	if selected.NumMessages != 2 || selected.UIDNext != 3 || appended.UID != 1 || appended.UIDValidity != selected.UIDValidity {
		t.Errorf("selected %+v, appended %+v", selected, appended)
	}

	checkFetched(t, c, raw, when)

	for _, c1 := range []struct {
		criteria imap.SearchCriteria
		want     string
	}{
		{imap.SearchCriteria{}, "1:2"},
		{imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen}}, "2"},
		{imap.SearchCriteria{Flag: []imap.Flag{"$Label1"}}, "1"},
		{imap.SearchCriteria{Header: []imap.SearchCriteriaHeaderField{{Key: "Subject", Value: "GRÜ"}}}, "1"},
		{imap.SearchCriteria{Body: []string{"needle"}}, "2"},
		{imap.SearchCriteria{Before: time.Date(2020, 5, 7, 0, 0, 0, 0, time.UTC)}, "1"},
		{imap.SearchCriteria{Larger: 100_000}, ""},
	} {
		data, err := c.UIDSearch(&c1.criteria, nil).Wait()
		must(err)
		if got := data.All; got == nil && c1.want != "" || got != nil && got.String() != c1.want {
			t.Errorf("search %+v found %v, want %q", c1.criteria, got, c1.want)
		}
	}

	if _, err := c.Copy(imap.UIDSetNum(1), "Nowhere").Wait(); err == nil || !strings.Contains(err.Error(), "TRYCREATE") {
		t.Errorf("copy to a mailbox that is not there: %v", err)
	}
	copied, err := c.Copy(imap.UIDSetNum(1, 2), "Filed").Wait()
	must(err)
	if copied.SourceUIDs.String() != "1:2" || copied.DestUIDs.String() != "1:2" {
		t.Errorf("copied %+v", copied)
	}
	must(c.Store(imap.UIDSetNum(2), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close())
	_, err = c.UIDExpunge(imap.UIDSetNum(1)).Collect()
	must(err)
	a.expect(t, "INBOX", `Grüße und mehr $Label1 \Seen`, `second \Deleted`)
	must(c.Expunge().Close())
	_, err = c.Move(imap.UIDSetNum(1), "Filed").Wait()
	must(err)
	must(c.UnselectAndExpunge().Wait())
	status, err := c.Status("Filed", &imap.StatusOptions{NumMessages: true, UIDNext: true, NumUnseen: true, Size: true}).Wait()
	must(err)
	if *status.NumMessages != 3 || status.UIDNext != 4 || *status.NumUnseen != 1 || *status.Size < 2*int64(len(raw)) {
		t.Errorf("status %+v", status)
	}
	a.expect(t, "INBOX")
	a.expect(t, "Filed", `Grüße und mehr $Label1 \Seen`, "second", `Grüße und mehr $Label1 \Seen`)
}

// multipart is a message with an alternative and an attachment.
func multipart(to string) string {
	return strings.ReplaceAll(`From: "Müller, J." <jm@example.com>
To: `+to+`
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_und_mehr?=
Date: Tue, 02 Jan 2024 16:04:03 +0100
Message-ID: <multipart@story.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8

Guten Tag
--inner
Content-Type: text/html; charset=utf-8

<p>Guten Tag</p>
--inner--
--outer
Content-Type: application/octet-stream; name=a.bin
Content-Disposition: attachment; filename=a.bin
Content-Transfer-Encoding: base64

AAECAwQF
--outer--
`, "\n", "\r\n")
}

// checkFetched reads message 1, which is multipart, in all ways.
func checkFetched(t *testing.T, c *imapclient.Client, raw string, when time.Time) {
	t.Helper()
	whole := &imap.FetchItemBodySection{Peek: true}
	html := &imap.FetchItemBodySection{Peek: true, Part: []int{1, 2}}
	mime := &imap.FetchItemBodySection{Peek: true, Part: []int{2}, Specifier: imap.PartSpecifierMIME}
	partial := &imap.FetchItemBodySection{Peek: true, Part: []int{1, 1}, Partial: &imap.SectionPartial{Offset: 6, Size: 100}}
	subject := &imap.FetchItemBodySection{Peek: true, Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Subject"}}
	binary := &imap.FetchItemBinarySection{Peek: true, Part: []int{2}}
	list, err := c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{
		UID: true, Flags: true, Envelope: true, InternalDate: true, RFC822Size: true, ModSeq: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection:   []*imap.FetchItemBodySection{whole, html, mime, partial, subject},
		BinarySection: []*imap.FetchItemBinarySection{binary},
	}).Collect()
	if err != nil || len(list) != 1 {
		t.Fatalf("%d messages, %v", len(list), err)
	}
	m := list[0]
	if m.UID != 1 || m.RFC822Size != int64(len(raw)) || !m.InternalDate.Equal(when) || m.ModSeq == 0 ||
		!slices.Contains(m.Flags, "$Label1") {
		t.Errorf("fetched %+v", m)
	}
	if e := m.Envelope; e.Subject != "Grüße und mehr" || e.MessageID != "multipart@story.example" ||
		len(e.From) != 1 || e.From[0].Name != "Müller, J." || e.From[0].Addr() != "jm@example.com" {
		t.Errorf("envelope %+v", m.Envelope)
	}
	var types []string
	m.BodyStructure.Walk(func(_ []int, part imap.BodyStructure) bool {
		types = append(types, part.MediaType())
		return true
	})
	if got := strings.Join(types, " "); got != "multipart/mixed multipart/alternative text/plain text/html application/octet-stream" {
		t.Errorf("structure %s", got)
	}
	for section, want := range map[*imap.FetchItemBodySection]string{
		whole: raw, html: "<p>Guten Tag</p>", partial: "Tag",
		subject: "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_und_mehr?=\r\n\r\n",
		mime: "Content-Type: application/octet-stream; name=a.bin\r\nContent-Disposition: attachment; filename=a.bin\r\n" +
			"Content-Transfer-Encoding: base64\r\n\r\n",
	} {
		if got := string(m.FindBodySection(section)); got != want {
			t.Errorf("section %+v is %q, want %q", section, got, want)
		}
	}
	if got := string(m.FindBinarySection(binary)); got != "\x00\x01\x02\x03\x04\x05" {
		t.Errorf("binary part is %q", got)
	}
}

// goimapIdle waits in IDLE until mail comes.
func goimapIdle(t *testing.T, s *site) {
	a := s.newAccount(t, "anna")
	goimapIdleOn(t, a)
	a.expect(t, "INBOX", "wake up")
}

// goimapIdleOn waits in IDLE for a message that the account gets.
func goimapIdleOn(t *testing.T, a *account) {
	t.Helper()
	exists := make(chan uint32, 100)
	c, err := imapclient.DialTLS(a.out.imaps, &imapclient.Options{
		TLSConfig: a.site.tlsConfig(t, a.out),
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				exists <- *data.NumMessages
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(a.address, a.password).Wait(); err != nil {
		t.Fatal(err)
	}
	selected, err := c.Select("INBOX", nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	idle, err := c.Idle()
	if err != nil {
		t.Fatal(err)
	}
	a.swaks(t, a.in.mx, "--from", "x@example.com", "--to", a.address, "--header", "Subject: wake up").ok()
	for deadline := time.After(patience); ; {
		select {
		case n := <-exists:
			if n != selected.NumMessages+1 {
				continue
			}
		case <-deadline:
			t.Fatal("IDLE did not tell of the new message")
		}
		break
	}
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	if err := idle.Wait(); err != nil {
		t.Fatal(err)
	}
}
