package wire

// Select are the arguments of SELECT and EXAMINE (RFC 9051, sections 6.3.2 and 6.3.3).
type Select struct {
	Mailbox   string
	ReadOnly  bool
	CondStore bool // RFC 7162, section 3.1.8
	QResync   *QResync
}

func (r *Reader) selectArgs(readOnly bool) *Select {
	s := &Select{ReadOnly: readOnly}
	r.sp()
	s.Mailbox = r.mailbox()
	if r.maybe(' ') {
		r.list(func() {
			switch p := r.word(); p {
			case "CONDSTORE":
				s.CondStore = true
			case "QRESYNC":
				s.QResync = r.qresync()
			default:
				r.fail("unknown parameter %.30s", p)
			}
		})
	}
	return s
}

// Create are the arguments of CREATE (RFC 9051, section 6.3.4).
type Create struct {
	Mailbox string
	Uses    []string // special uses, upper case (RFC 6154, section 3)
}

func (r *Reader) create() *Create {
	c := &Create{}
	r.sp()
	c.Mailbox = r.mailbox()
	if r.maybe(' ') {
		r.list(func() {
			switch p := r.word(); p {
			case "USE":
				r.sp()
				c.Uses = r.words()
			default:
				r.fail("unknown parameter %.30s", p)
			}
		})
	}
	return c
}

// Mailbox is the argument of the commands that take one mailbox name.
type Mailbox struct{ Name string }

func (r *Reader) oneMailbox() *Mailbox {
	r.sp()
	return &Mailbox{Name: r.mailbox()}
}

// Rename are the arguments of RENAME (RFC 9051, section 6.3.6).
type Rename struct{ From, To string }

func (r *Reader) rename() *Rename {
	n := &Rename{}
	r.sp()
	n.From = r.mailbox()
	r.sp()
	n.To = r.mailbox()
	return n
}

// StatusItem is one thing that STATUS tells.
type StatusItem string

// The STATUS items (RFC 9051, section 6.3.11; RECENT is of RFC 3501, HIGHESTMODSEQ of RFC 7162,
// APPENDLIMIT of RFC 7889, MAILBOXID of RFC 8474, DELETED-STORAGE of RFC 9208).
const (
	StatusMessages       StatusItem = "MESSAGES"
	StatusRecent         StatusItem = "RECENT"
	StatusUIDNext        StatusItem = "UIDNEXT"
	StatusUIDValidity    StatusItem = "UIDVALIDITY"
	StatusUnseen         StatusItem = "UNSEEN"
	StatusDeleted        StatusItem = "DELETED"
	StatusSize           StatusItem = "SIZE"
	StatusHighestModSeq  StatusItem = "HIGHESTMODSEQ"
	StatusAppendLimit    StatusItem = "APPENDLIMIT"
	StatusMailboxID      StatusItem = "MAILBOXID"
	StatusDeletedStorage StatusItem = "DELETED-STORAGE"
)

// Status are the arguments of STATUS.
type Status struct {
	Mailbox string
	Items   []StatusItem
}

func (r *Reader) status() *Status {
	s := &Status{}
	r.sp()
	s.Mailbox = r.mailbox()
	r.sp()
	s.Items = r.statusItems()
	return s
}

func (r *Reader) statusItems() []StatusItem {
	var items []StatusItem
	r.list(func() {
		item := StatusItem(r.word())
		switch item {
		case StatusMessages, StatusRecent, StatusUIDNext, StatusUIDValidity, StatusUnseen,
			StatusDeleted, StatusSize, StatusHighestModSeq, StatusAppendLimit, StatusMailboxID, StatusDeletedStorage:
		default:
			r.fail("unknown status item %.30s", item)
		}
		if len(items) < 16 {
			items = append(items, item)
		}
	})
	if len(items) == 0 {
		r.fail("no status item")
	}
	return items
}

// List are the arguments of LIST (RFC 9051, section 6.3.9) and LSUB (RFC 3501, section 6.3.9).
type List struct {
	Reference string
	Patterns  []string
	Extended  bool // the command used the extended syntax

	SelectSubscribed, SelectRemote, SelectRecursive, SelectSpecialUse bool
	ReturnSubscribed, ReturnChildren, ReturnSpecialUse                bool
	ReturnMyRights                                                    bool // RFC 8440

	Status   []StatusItem // nil where not asked for (RFC 5819)
	Metadata []string     // entries to be told, nil where not asked for (RFC 9590)
}

// maxPatterns bounds the work that one LIST can ask for by mailbox.
const maxPatterns = 100

func (r *Reader) listArgs() *List {
	l := &List{}
	r.sp()
	if r.peek() == '(' {
		l.Extended = true
		r.list(func() { r.listSelection(l) })
		if l.SelectRecursive && !l.SelectSubscribed && !l.SelectSpecialUse {
			r.fail("RECURSIVEMATCH needs another selection option")
		}
		r.sp()
	}
	l.Reference = r.mailbox()
	r.sp()
	if r.peek() == '(' {
		l.Extended = true
		r.list(func() {
			if l.Patterns = append(l.Patterns, r.pattern()); len(l.Patterns) > maxPatterns {
				r.fail("more than %d patterns", maxPatterns)
			}
		})
	} else {
		l.Patterns = append(l.Patterns, r.pattern())
	}
	if r.maybe(' ') {
		l.Extended = true
		if w := r.word(); w != "RETURN" {
			r.fail("expected RETURN, got %.30s", w)
		}
		r.sp()
		r.list(func() { r.listReturn(l) })
	}
	return l
}

func (r *Reader) listSelection(l *List) {
	switch o := r.word(); o {
	case "SUBSCRIBED":
		l.SelectSubscribed = true
	case "REMOTE":
		l.SelectRemote = true
	case "RECURSIVEMATCH":
		l.SelectRecursive = true
	case "SPECIAL-USE":
		l.SelectSpecialUse = true
	default:
		r.fail("unknown selection option %.30s", o)
	}
}

func (r *Reader) listReturn(l *List) {
	switch o := r.word(); o {
	case "SUBSCRIBED":
		l.ReturnSubscribed = true
	case "CHILDREN":
		l.ReturnChildren = true
	case "SPECIAL-USE":
		l.ReturnSpecialUse = true
	case "MYRIGHTS":
		l.ReturnMyRights = true
	case "STATUS":
		r.sp()
		l.Status = r.statusItems()
	case "METADATA":
		r.sp()
		l.Metadata = r.entries()
	default:
		r.fail("unknown return option %.30s", o)
	}
}

func (r *Reader) lsub() *List {
	l := &List{SelectSubscribed: true}
	r.sp()
	l.Reference = r.mailbox()
	r.sp()
	l.Patterns = append(l.Patterns, r.pattern())
	return l
}
