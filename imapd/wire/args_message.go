package wire

import "strings"

// Expunge are the arguments of EXPUNGE and UID EXPUNGE (RFC 9051, section 6.4.9).
type Expunge struct {
	UIDs NumSet // only for UID EXPUNGE
}

func (r *Reader) expunge(uid bool) *Expunge {
	e := &Expunge{}
	if uid {
		r.sp()
		e.UIDs = r.numSet()
	}
	return e
}

// Copy are the arguments of COPY and MOVE (RFC 9051, sections 6.4.7 and 6.4.8).
type Copy struct {
	Set     NumSet
	Mailbox string
}

func (r *Reader) copyArgs() *Copy {
	c := &Copy{}
	r.sp()
	c.Set = r.numSet()
	r.sp()
	c.Mailbox = r.mailbox()
	return c
}

// StoreOp is what STORE does with its flags.
type StoreOp int

// The ways to store flags.
const (
	StoreSet StoreOp = iota
	StoreAdd
	StoreRemove
)

// Store are the arguments of STORE (RFC 9051, section 6.4.6).
type Store struct {
	Set            NumSet
	Op             StoreOp
	Silent         bool
	Flags          []string
	UnchangedSince *uint64 // RFC 7162, section 3.1.3
}

func (r *Reader) store() *Store {
	s := &Store{}
	r.sp()
	s.Set = r.numSet()
	r.sp()
	if r.peek() == '(' {
		r.list(func() { r.storeModifier(s) })
		r.sp()
	}
	switch {
	case r.maybe('+'):
		s.Op = StoreAdd
	case r.maybe('-'):
		s.Op = StoreRemove
	}
	switch item := r.word(); item {
	case "FLAGS":
	case "FLAGS.SILENT":
		s.Silent = true
	default:
		r.fail("cannot store %.30s", item)
	}
	r.sp()
	if r.peek() == '(' {
		s.Flags = r.flagList()
		return s
	}
	s.Flags = append(s.Flags, r.flag())
	for r.maybe(' ') {
		s.Flags = append(s.Flags, r.flag())
	}
	return s
}

func (r *Reader) storeModifier(s *Store) {
	switch m := r.word(); m {
	case "UNCHANGEDSINCE":
		r.sp()
		n := r.number63()
		s.UnchangedSince = &n
	default:
		r.fail("unknown modifier %.30s", m)
	}
}

// FetchKind is a kind of FETCH data item.
type FetchKind int

// The FETCH data items (RFC 9051, section 6.4.5; the RFC822 ones but RFC822.SIZE are of RFC 3501,
// MODSEQ of RFC 7162, SAVEDATE of RFC 8514, EMAILID and THREADID of RFC 8474,
// PREVIEW of RFC 8970).
const (
	FetchFlags FetchKind = iota
	FetchUID
	FetchInternalDate
	FetchSize
	FetchEnvelope
	FetchBody // BODYSTRUCTURE without extension data
	FetchBodyStructure
	FetchModSeq
	FetchSaveDate
	FetchSection // BODY[…]
	FetchBinary
	FetchBinarySize
	FetchRFC822
	FetchRFC822Header
	FetchRFC822Text
	FetchEmailID
	FetchThreadID
	FetchPreview
)

// FetchItem is one item that FETCH asks for.
type FetchItem struct {
	Kind    FetchKind
	Peek    bool    // does not set \Seen
	Section Section // of FetchSection, FetchBinary, FetchBinarySize
	Partial bool    // <Offset.Count> was given
	Offset  uint64
	Count   uint64
}

// Fetch are the arguments of FETCH.
type Fetch struct {
	Set          NumSet
	Items        []FetchItem
	ChangedSince *uint64 // RFC 7162, section 3.1.4
	Vanished     bool    // RFC 7162, section 3.2.6
	Partial      *Partial
}

// maxFetchItems bounds how often one FETCH can have a message's octets sent.
const maxFetchItems = 256

func (r *Reader) fetch() *Fetch {
	f := &Fetch{}
	r.sp()
	f.Set = r.numSet()
	r.sp()
	if r.peek() == '(' {
		r.list(func() { r.fetchItem(f, false) })
		if len(f.Items) == 0 {
			r.fail("nothing to fetch")
		}
	} else {
		r.fetchItem(f, true)
	}
	if r.maybe(' ') {
		r.list(func() { r.modifier(f, r.word()) })
	}
	return f
}

// fetchItems reads data items in parentheses.
func (r *Reader) fetchItems() []FetchItem {
	var f Fetch
	r.list(func() { r.fetchItem(&f, false) })
	if len(f.Items) == 0 {
		r.fail("nothing to fetch")
	}
	return f.Items
}

// modifier reads what follows the name of a modifier of FETCH.
func (r *Reader) modifier(f *Fetch, name string) {
	switch name {
	case "CHANGEDSINCE":
		r.sp()
		n := r.number63()
		f.ChangedSince = &n
	case "PARTIAL":
		f.Partial = r.partial()
	case "VANISHED":
		f.Vanished = true
	default:
		r.fail("unknown modifier %.30s", name)
	}
}

func isFetchAtom(c byte) bool { return isAtom(c) && c != '[' && c != '<' }

// fetchItem reads an item; single says that it is in no list.
func (r *Reader) fetchItem(f *Fetch, single bool) {
	if len(f.Items) >= maxFetchItems {
		r.fail("more than %d items", maxFetchItems)
		return
	}
	name := strings.ToUpper(r.some("a fetch item", isFetchAtom))
	add := func(kinds ...FetchKind) {
		for _, k := range kinds {
			f.Items = append(f.Items, FetchItem{Kind: k})
		}
	}
	switch name {
	case "ALL":
		add(FetchFlags, FetchInternalDate, FetchSize, FetchEnvelope)
	case "FAST":
		add(FetchFlags, FetchInternalDate, FetchSize)
	case "FULL":
		add(FetchFlags, FetchInternalDate, FetchSize, FetchEnvelope, FetchBody)
	case "BODY", "BODY.PEEK":
		if r.peek() != '[' && name == "BODY" {
			add(FetchBody)
			return
		}
		f.Items = append(f.Items, r.sectionItem(FetchSection, name == "BODY.PEEK"))
	case "BINARY", "BINARY.PEEK":
		f.Items = append(f.Items, r.sectionItem(FetchBinary, name == "BINARY.PEEK"))
	case "PREVIEW":
		add(FetchPreview)
		r.afterPreview(f, single)
	case "BINARY.SIZE":
		f.Items = append(f.Items, r.sectionItem(FetchBinarySize, true))
	case "RFC822.PEEK": // of RFC 1730, section 6.4.5; Outlook sends it
		f.Items = append(f.Items, FetchItem{Kind: FetchRFC822, Peek: true})
	case "RFC822.TEXT.PEEK":
		f.Items = append(f.Items, FetchItem{Kind: FetchRFC822Text, Peek: true})
	default:
		kind, ok := simpleItem(name)
		if !ok {
			r.fail("unknown fetch item %.30s", name)
		}
		add(kind)
	}
}

// afterPreview reads the (LAZY) that may follow PREVIEW (RFC 8970, section 4), or what else comes after the
// space: the next item of a list, or after a single item the modifiers of FETCH.
func (r *Reader) afterPreview(f *Fetch, single bool) {
	if !r.maybe(' ') {
		return
	}
	switch c := r.peek(); {
	case c == '(':
		r.list(func() {
			switch m := r.word(); {
			case m == "LAZY":
			case single:
				r.modifier(f, m)
			default:
				r.fail("unknown modifier %.30s", m)
			}
		})
	case !single && c != ')':
		r.fetchItem(f, single)
	}
}

func simpleItem(name string) (FetchKind, bool) {
	switch name {
	case "FLAGS":
		return FetchFlags, true
	case "UID":
		return FetchUID, true
	case "INTERNALDATE":
		return FetchInternalDate, true
	case "RFC822.SIZE":
		return FetchSize, true
	case "ENVELOPE":
		return FetchEnvelope, true
	case "BODYSTRUCTURE":
		return FetchBodyStructure, true
	case "MODSEQ":
		return FetchModSeq, true
	case "SAVEDATE":
		return FetchSaveDate, true
	case "EMAILID":
		return FetchEmailID, true
	case "THREADID":
		return FetchThreadID, true
	case "RFC822":
		return FetchRFC822, true
	case "RFC822.HEADER":
		return FetchRFC822Header, true
	case "RFC822.TEXT":
		return FetchRFC822Text, true
	}
	return 0, false
}
