package wire

import "github.com/rookery-mail/rookery/index/indexpb"

// Envelope writes an ENVELOPE (RFC 9051, section 7.5.2). sender and reply-to are those of from where
// the message has none.
func (w *Writer) Envelope(e *indexpb.Envelope) {
	if e == nil {
		w.Raw("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)")
		return
	}
	w.Byte('(')
	w.NString(e.Date)
	w.Byte(' ')
	w.NString(e.Subject)
	w.Byte(' ')
	w.addresses(e.From)
	w.Byte(' ')
	w.addresses(orFrom(e.Sender, e.From))
	w.Byte(' ')
	w.addresses(orFrom(e.ReplyTo, e.From))
	w.Byte(' ')
	w.addresses(e.To)
	w.Byte(' ')
	w.addresses(e.Cc)
	w.Byte(' ')
	w.addresses(e.Bcc)
	w.Byte(' ')
	w.NString(e.InReplyTo)
	w.Byte(' ')
	w.NString(e.MessageId)
	w.Byte(')')
}

func orFrom(list, from []*indexpb.Address) []*indexpb.Address {
	if len(list) == 0 {
		return from
	}
	return list
}

// addresses writes an address list; the second member of each, the obsolete route, is always NIL.
func (w *Writer) addresses(list []*indexpb.Address) {
	if len(list) == 0 {
		w.Raw("NIL")
		return
	}
	w.Byte('(')
	for _, a := range list {
		w.Byte('(')
		w.NString(a.Name)
		w.Raw(" NIL ")
		w.NString(a.Mailbox)
		w.Byte(' ')
		w.NString(a.Host)
		w.Byte(')')
	}
	w.Byte(')')
}
