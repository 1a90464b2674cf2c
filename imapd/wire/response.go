package wire

// StatusKind is the kind of a status response.
type StatusKind string

// The status responses (RFC 9051, section 7.1).
const (
	OK      StatusKind = "OK"
	NO      StatusKind = "NO"
	BAD     StatusKind = "BAD"
	BYE     StatusKind = "BYE"
	PREAUTH StatusKind = "PREAUTH"
)

// Untagged begins an untagged response: "* ".
func (w *Writer) Untagged() { w.Raw("* ") }

// StatusLine writes a status response of one line. tag is "*" for untagged; code, without brackets,
// may be empty.
func (w *Writer) StatusLine(tag string, kind StatusKind, code, text string) {
	w.Raw(tag)
	w.Byte(' ')
	w.Raw(string(kind))
	w.Byte(' ')
	if code != "" {
		w.Byte('[')
		w.Text(code)
		w.Raw("] ")
	}
	if text == "" {
		text = "done"
	}
	w.Text(text)
	w.CRLF()
}

// Text writes human readable text; what could end the line or is not ASCII is replaced by "?".
func (w *Writer) Text(s string) {
	for i := range len(s) {
		c := s[i]
		if c < 0x20 || c >= 0x7f {
			c = '?'
		}
		w.Byte(c)
	}
}

// Continue writes a continuation request (RFC 9051, section 7.6).
func (w *Writer) Continue(text string) {
	w.Raw("+ ")
	w.Raw(text)
	w.CRLF()
}

// NumberLine writes "* n name", as EXISTS and EXPUNGE are.
func (w *Writer) NumberLine(n uint32, name string) {
	w.Untagged()
	w.Num(uint64(n))
	w.Byte(' ')
	w.Raw(name)
	w.CRLF()
}

// Vanished writes a VANISHED response (RFC 7162, section 3.2.10). earlier says that the messages were
// gone before, so that message numbers do not change by it.
func (w *Writer) Vanished(earlier bool, uids func(yield func(lo, hi uint32) bool)) {
	w.Raw("* VANISHED ")
	if earlier {
		w.Raw("(EARLIER) ")
	}
	w.NumSet(uids)
	w.CRLF()
}

// Flags writes flags in parentheses.
func (w *Writer) Flags(flags []string) {
	w.Byte('(')
	for i, f := range flags {
		if i > 0 {
			w.Byte(' ')
		}
		w.Raw(f)
	}
	w.Byte(')')
}

// ListLine is one LIST or LSUB response (RFC 9051, section 7.3.1).
type ListLine struct {
	Name       string // LIST or LSUB
	Attributes []string
	Delimiter  byte
	Mailbox    string
	ChildInfo  bool   // CHILDINFO ("SUBSCRIBED") (RFC 5258, section 6)
	OldName    string // OLDNAME (…) where not empty
}

// List writes a LIST or LSUB response.
func (w *Writer) List(l ListLine) {
	w.Untagged()
	w.Raw(l.Name)
	w.Byte(' ')
	w.Flags(l.Attributes)
	w.Raw(" \"")
	w.Byte(l.Delimiter)
	w.Raw("\" ")
	if l.Mailbox == "" {
		w.Raw(`""`)
	} else {
		w.MailboxName(l.Mailbox)
	}
	switch {
	case l.ChildInfo:
		w.Raw(` ("CHILDINFO" ("SUBSCRIBED"))`)
	case l.OldName != "":
		w.Raw(` ("OLDNAME" (`)
		w.MailboxName(l.OldName)
		w.Raw("))")
	}
	w.CRLF()
}

// ESearch is an ESEARCH response (RFC 9051, section 7.3.4).
type ESearch struct {
	Tag         string
	Mailbox     string // what was searched, with its UIDVALIDITY (RFC 7377, section 2.1); "" is not told
	UIDValidity uint32
	UID         bool
	HasMin      bool // Min is told
	HasMax      bool
	HasCount    bool
	Min, Max    uint32
	Count       uint64
	All         func(yield func(lo, hi uint32) bool) // nil is not told; it must yield something
	ModSeq      uint64                               // 0 is not told
	Partial     *Partial                             // nil is not told
	Part        func(yield func(lo, hi uint32) bool) // of Partial; nil is none
	Relevancy   []int                                // of 1 to 100, of each message in the order of the result (RFC 6203); nil is not told
	Removed     []ESearchChange                      // since the client was told last (RFC 5267); none is not told
	Added       []ESearchChange                      // after Removed; none is not told
}

// ESearchChange is a piece that enters or leaves a result that is kept up to date (RFC 5267, sections 4.3.3 and
// 4.3.4). Changes are carried out one after the other.
type ESearchChange struct {
	At  int                                  // the position of the first of them, counted from 1; 0 is by their numbers
	Set func(yield func(lo, hi uint32) bool) // in the order of the result; it must yield something
}

// ESearch writes an ESEARCH response.
func (w *Writer) ESearch(e ESearch) {
	w.Raw(`* ESEARCH (TAG "`)
	w.Raw(e.Tag)
	w.Byte('"')
	if e.Mailbox != "" {
		w.Raw(" MAILBOX ")
		w.MailboxName(e.Mailbox)
		w.Raw(" UIDVALIDITY ")
		w.Num(uint64(e.UIDValidity))
	}
	w.Byte(')')
	if e.UID {
		w.Raw(" UID")
	}
	field := func(name string, n uint64) {
		w.Byte(' ')
		w.Raw(name)
		w.Byte(' ')
		w.Num(n)
	}
	if e.HasMin {
		field("MIN", uint64(e.Min))
	}
	if e.HasMax {
		field("MAX", uint64(e.Max))
	}
	if e.HasCount {
		field("COUNT", e.Count)
	}
	if e.All != nil {
		w.Raw(" ALL ")
		w.NumSet(e.All)
	}
	if e.Partial != nil {
		w.Raw(" PARTIAL (")
		w.Bytes(e.Partial.Append(nil))
		w.Byte(' ')
		if e.Part == nil {
			w.Raw("NIL")
		} else {
			w.NumSet(e.Part)
		}
		w.Byte(')')
	}
	if e.ModSeq > 0 {
		field("MODSEQ", e.ModSeq)
	}
	w.relevancy(e.Relevancy)
	w.changes("REMOVEFROM", e.Removed)
	w.changes("ADDTO", e.Added)
	w.CRLF()
}

// relevancy writes scores (RFC 6203, section 7).
func (w *Writer) relevancy(scores []int) {
	if scores == nil {
		return
	}
	w.Raw(" RELEVANCY (")
	for i, n := range scores {
		if i > 0 {
			w.Byte(' ')
		}
		w.Num(uint64(n))
	}
	w.Byte(')')
}

// changes writes a return data item of pairs of a position and a set (RFC 5267, section 5).
func (w *Writer) changes(name string, changes []ESearchChange) {
	if len(changes) == 0 {
		return
	}
	w.Byte(' ')
	w.Raw(name)
	w.Raw(" (")
	for i, c := range changes {
		if i > 0 {
			w.Byte(' ')
		}
		w.Num(uint64(c.At))
		w.Byte(' ')
		w.NumSet(c.Set)
	}
	w.Byte(')')
}
