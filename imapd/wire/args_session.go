package wire

import "strings"

// Authenticate are the arguments of AUTHENTICATE (RFC 9051, section 6.2.2).
type Authenticate struct {
	Mechanism string // upper case
	Initial   string // base64, "=" for an empty one
	HasIR     bool   // Initial was given (RFC 4959)
}

func (r *Reader) authenticate() *Authenticate {
	r.sp()
	a := &Authenticate{Mechanism: r.word()}
	if r.maybe(' ') {
		a.HasIR = true
		a.Initial = r.some("base64", func(c byte) bool { return isAtom(c) })
	}
	return a
}

// Compress are the arguments of COMPRESS (RFC 4978, section 3).
type Compress struct{ Mechanism string } // upper case

func (r *Reader) compress() *Compress {
	r.sp()
	return &Compress{Mechanism: r.word()}
}

// Login are the arguments of LOGIN (RFC 9051, section 6.2.3).
type Login struct{ User, Password string }

func (r *Reader) login() *Login {
	l := &Login{}
	r.sp()
	l.User = r.astring()
	r.sp()
	l.Password = r.astring()
	return l
}

// ID are the arguments of ID (RFC 2971): field, value, field, value. It is empty for NIL.
type ID struct{ Fields []string }

// maxIDFields is what RFC 2971, section 3.3, allows.
const maxIDFields = 30

func (r *Reader) id() *ID {
	id := &ID{}
	r.sp()
	if r.peek() != '(' {
		r.nstring()
		return id
	}
	r.list(func() {
		field := r.str()
		r.sp()
		value, _ := r.nstring()
		if len(id.Fields) >= 2*maxIDFields {
			r.fail("more than %d fields", maxIDFields)
		}
		id.Fields = append(id.Fields, field, value)
	})
	return id
}

// Enable are the arguments of ENABLE (RFC 9051, section 6.3.1), in upper case.
type Enable struct{ Capabilities []string }

func (r *Reader) enable() *Enable {
	e := &Enable{}
	r.sp()
	e.Capabilities = append(e.Capabilities, r.word())
	for r.maybe(' ') {
		e.Capabilities = append(e.Capabilities, r.word())
	}
	return e
}

// Quota are the arguments of GETQUOTA (RFC 9208).
type Quota struct{ Root string }

func (r *Reader) quota() *Quota {
	r.sp()
	return &Quota{Root: r.astring()}
}

// SetQuota are the arguments of SETQUOTA (RFC 9208, section 4.1.3).
type SetQuota struct {
	Root   string
	Limits []QuotaLimit
}

// QuotaLimit is what SETQUOTA says of one resource.
type QuotaLimit struct {
	Resource string // upper case
	Limit    uint64 // in the resource's unit
}

// maxLimits is how many resources one SETQUOTA names.
const maxLimits = 16

func (r *Reader) setQuota() *SetQuota {
	q := &SetQuota{}
	r.sp()
	q.Root = r.astring()
	r.sp()
	r.list(func() {
		l := QuotaLimit{Resource: r.word()}
		r.sp()
		l.Limit = r.number63()
		if len(q.Limits) >= maxLimits {
			r.fail("more than %d resources", maxLimits)
			return
		}
		q.Limits = append(q.Limits, l)
	})
	return q
}

// flag reads a flag or keyword (RFC 9051, section 9, flag).
func (r *Reader) flag() string {
	if r.maybe('\\') {
		return "\\" + r.atom()
	}
	return r.atom()
}

// flagList reads flags in parentheses.
func (r *Reader) flagList() []string {
	flags := []string{}
	r.list(func() { flags = append(flags, r.flag()) })
	return flags
}

// words reads atoms in parentheses, in upper case.
func (r *Reader) words() []string {
	var out []string
	r.list(func() { out = append(out, strings.ToUpper(r.flag())) })
	return out
}
