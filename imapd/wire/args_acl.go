package wire

// ACL are the arguments of SETACL, DELETEACL, LISTRIGHTS, and without identifier of GETACL and MYRIGHTS
// (RFC 4314, section 3).
type ACL struct {
	Mailbox    string
	Identifier string
	Rights     string // of SETACL, with its + or -
}

func (r *Reader) acl(name string) *ACL {
	a := &ACL{}
	r.sp()
	a.Mailbox = r.mailbox()
	if name == "GETACL" || name == "MYRIGHTS" {
		return a
	}
	r.sp()
	a.Identifier = r.astring()
	if name == "SETACL" {
		r.sp()
		a.Rights = r.astring()
	}
	return a
}
