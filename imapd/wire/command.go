package wire

import (
	"errors"
	"io"
)

// Command is one command as it came in. Args has the type that goes with its Name, or is nil for a
// command without arguments.
type Command struct {
	Tag  string
	Name string // upper case, without "UID"
	UID  bool   // it came as UID COPY, UID FETCH and so on
	Args any
}

// ReadCommand reads the next command. The error is a *SyntaxError where the command was wrong (it was
// skipped), else the connection's or ErrOutOfSync. After an *Append the message's octets come next:
// see Append.
func (r *Reader) ReadCommand() (*Command, error) {
	r.reset()
	if c := r.peek(); c == '\r' || c == '\n' {
		if r.crlf(); r.err == nil {
			return nil, &SyntaxError{Text: "an empty line is no command", Empty: true}
		}
		return nil, r.recover("", "")
	}
	cmd := &Command{Tag: r.some("a tag", isTag)}
	r.sp()
	if cmd.Name = r.word(); cmd.Name == "UID" {
		cmd.UID = true
		r.sp()
		cmd.Name = r.word()
	}
	r.args(cmd)
	if _, open := cmd.Args.(*Append); !open || r.err != nil {
		r.crlfOfCommand()
	}
	if r.err == nil {
		return cmd, nil
	}
	return nil, r.recover(cmd.Tag, cmd.Name)
}

// crlfOfCommand takes trailing spaces and the line end.
func (r *Reader) crlfOfCommand() {
	for r.maybe(' ') {
	}
	r.crlf()
}

// recover skips the rest of a wrong command, so that the next can be read.
func (r *Reader) recover(tag, name string) error {
	wrong, ok := errors.AsType[*SyntaxError](r.err)
	if !ok {
		return r.err
	}
	r.err = nil
	if err := r.skip(); err != nil {
		return err
	}
	if len(tag) <= 64 {
		wrong.Tag = tag
	}
	if len(name) <= 64 {
		wrong.Name = name
	}
	return wrong
}

// args reads what follows a command's name.
func (r *Reader) args(cmd *Command) {
	if r.err != nil {
		return
	}
	if cmd.UID {
		switch cmd.Name {
		case "COPY", "MOVE", "FETCH", "STORE", "SEARCH", "SORT", "THREAD", "EXPUNGE", "REPLACE":
		default:
			r.fail("UID %.30s is not a command", cmd.Name)
			return
		}
	}
	switch cmd.Name {
	case "CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "CHECK", "CLOSE", "UNSELECT", "IDLE", "NAMESPACE", "UNAUTHENTICATE":
	case "EXPUNGE":
		cmd.Args = r.expunge(cmd.UID)
	case "AUTHENTICATE":
		cmd.Args = r.authenticate()
	case "UIDBATCHES":
		cmd.Args = r.uidBatches()
	case "COMPRESS":
		cmd.Args = r.compress()
	case "LOGIN":
		cmd.Args = r.login()
	case "ID":
		cmd.Args = r.id()
	case "ENABLE":
		cmd.Args = r.enable()
	case "SELECT", "EXAMINE":
		cmd.Args = r.selectArgs(cmd.Name == "EXAMINE")
	case "CREATE":
		cmd.Args = r.create()
	case "DELETE", "SUBSCRIBE", "UNSUBSCRIBE", "GETQUOTAROOT":
		cmd.Args = r.oneMailbox()
	case "SETACL", "DELETEACL", "LISTRIGHTS", "GETACL", "MYRIGHTS":
		cmd.Args = r.acl(cmd.Name)
	case "GENURLAUTH":
		cmd.Args = r.genURLAuth()
	case "URLFETCH":
		cmd.Args = r.urlFetch()
	case "RESETKEY":
		cmd.Args = r.resetKey()
	case "GETQUOTA":
		cmd.Args = r.quota()
	case "SETQUOTA":
		cmd.Args = r.setQuota()
	case "GETMETADATA":
		cmd.Args = r.getMetadata()
	case "SETMETADATA":
		cmd.Args = r.setMetadata()
	case "RENAME":
		cmd.Args = r.rename()
	case "LIST":
		cmd.Args = r.listArgs()
	case "LSUB":
		cmd.Args = r.lsub()
	case "STATUS":
		cmd.Args = r.status()
	case "APPEND":
		cmd.Args = r.appendArgs()
	case "REPLACE":
		cmd.Args = r.replaceArgs()
	case "COPY", "MOVE":
		cmd.Args = r.copyArgs()
	case "STORE":
		cmd.Args = r.store()
	case "FETCH":
		cmd.Args = r.fetch()
	case "SEARCH":
		cmd.Args = r.search()
	case "SORT":
		cmd.Args = r.sort()
	case "THREAD":
		cmd.Args = r.thread()
	case "ESEARCH":
		cmd.Args = r.multiSearch()
	case "CANCELUPDATE":
		cmd.Args = r.cancelUpdate()
	case "NOTIFY":
		cmd.Args = r.notify()
	default:
		r.fail("unknown command")
	}
}

// ReadLine reads one line that is no command: a SASL response, or the DONE of IDLE. The line end is
// taken off. A line above the limit gives a *SyntaxError and is skipped.
func (r *Reader) ReadLine() (string, error) {
	r.reset()
	s := r.while(func(c byte) bool { return c != '\r' && c != '\n' })
	r.crlf()
	if r.err != nil {
		return "", r.recover("", "")
	}
	return s, nil
}

// Append are the arguments of APPEND up to the message's octets (RFC 9051, section 6.3.12). The
// session decides: Accept or Refuse must be called before the next command is read.
type Append struct {
	Mailbox string
	Flags   []string
	Date    Date
	Literal Literal
	UTF8    bool // the octets are within UTF8 (…) (RFC 6855, section 4)

	Catenate bool // the message is put together of parts: see Reader.Part (RFC 4469)
	parts    int  // that were read
	utf8Part bool // the last of them has a parenthesis to close

	Replaces *NumSet // of REPLACE: the one message whose place it takes (RFC 8508, section 3.2)
}

// Accept asks for the octets of a's literal, unless they come unasked, and gives a reader of exactly
// them. When all are read, Next must be called.
func (r *Reader) Accept(a *Append) (io.Reader, error) {
	if !a.Literal.NonSync {
		if err := r.more(); err != nil {
			return nil, err
		}
	}
	return io.LimitReader(r, a.Literal.Size), nil
}

// Next reads on after the octets of a message: the end of the APPEND, or what comes before the octets of
// one more (RFC 3502), which takes the place of the former in a.
func (r *Reader) Next(a *Append) (more bool, err error) {
	if a.UTF8 {
		r.expect(')')
	}
	space := r.maybe(' ')
	for r.maybe(' ') {
	}
	if c := r.peek(); space && r.err == nil && c != '\r' && c != '\n' && a.Replaces == nil {
		r.taken = 0 // each message has as much as a command
		*a = Append{Mailbox: a.Mailbox}
		r.appendMessage(a)
		more = true
	} else {
		r.crlf()
	}
	if r.err != nil {
		return false, r.recover("", "APPEND")
	}
	return more, nil
}

// Refuse skips the rest of an APPEND whose literal is not wanted. Octets that come unasked are
// dropped up to limit; above it the error is ErrOutOfSync.
func (r *Reader) Refuse(a *Append, limit int64) error {
	if a.Catenate {
		return r.refuseParts(a, limit)
	}
	if !a.Literal.NonSync {
		return nil
	}
	if a.Literal.Size > limit {
		return ErrOutOfSync
	}
	if _, err := io.CopyN(io.Discard, r, a.Literal.Size); err != nil {
		return err
	}
	return r.skip()
}

// appendArgs reads up to the literal of APPEND.
func (r *Reader) appendArgs() *Append {
	a := &Append{}
	r.sp()
	a.Mailbox = r.mailbox()
	r.sp()
	r.appendMessage(a)
	return a
}

// replaceArgs reads up to the literal of REPLACE.
func (r *Reader) replaceArgs() *Append {
	r.sp()
	n := r.setNumber()
	a := r.appendArgs()
	a.Replaces = &NumSet{Ranges: []NumRange{{Lo: n, Hi: n}}}
	return a
}

// appendMessage reads what comes before a message's octets.
func (r *Reader) appendMessage(a *Append) {
	if r.peek() == '(' {
		a.Flags = r.flagList()
		r.sp()
	}
	if r.peek() == '"' {
		a.Date = r.dateTime()
		r.sp()
	}
	if c := r.peek(); c == 'C' || c == 'c' {
		if r.word() != "CATENATE" {
			r.fail("expected a message")
		}
		r.sp()
		r.expect('(')
		a.Catenate = true
		return
	}
	if c := r.peek(); c == 'U' || c == 'u' {
		if r.word() != "UTF8" {
			r.fail("expected a message")
		}
		r.sp()
		r.expect('(')
		a.UTF8 = true
	}
	if c := r.peek(); r.err == nil && c != '{' && c != '~' {
		r.fail("expected a message as a literal, got %s", printable(c))
		return
	}
	a.Literal = r.literalHead()
}
